import Foundation
import Testing

@testable import LockdServer

/// The scenarios of `Tests/Transcripts`, which are the examples of `docs/protocol.md` and every rule of it.
@Suite struct TranscriptTests {
    /// Whether the expected lines are to be written anew instead of compared.
    static let isRewriting = ProcessInfo.processInfo.environment["REWRITE_TRANSCRIPTS"] == "1"

    @Test(arguments: Transcript.all.filter { !$0.requirements.contains(.daemon) })
    func serviceFollowsTranscript(_ transcript: Transcript) throws {
        var replay = TranscriptReplay(transcript, on: ServiceStage(limits: transcript.limits))
        try replay.play(isCorrecting: Self.isRewriting)
        if !replay.corrections.isEmpty {
            try Data(replay.correctedText.utf8).write(to: Transcript.directory.appending(path: transcript.name))
        }
    }

    @Test(.disabled(if: isRewriting), arguments: Transcript.all.filter { !$0.requirements.contains(.users) })
    func runningServerFollowsTranscript(_ transcript: Transcript) throws {
        let stage = try ServerStage(limits: transcript.limits)
        defer { stage.stop() }
        var replay = TranscriptReplay(transcript, on: stage)
        try replay.play()
    }
}
