import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

// The wire's own, not the one that the Swift library shows to programs.
import enum LockdWire.WatchEvent

/// `lockctl watch`: what happens, as it happens.
struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Say what happens to locks, a line for each event, until interrupted.",
        discussion: Help.text(
            examples: [
                "lockctl watch reports/": "as it happens, until Ctrl-C",
                "lockctl watch --json | jq .event": "for programs",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "A JSON object a line.")
    var json = false

    @Argument(help: "Only locks whose names begin so.", completion: Completing.lockNames, transform: lockName)
    var prefix: LockName?

    func run() throws {
        try reportingFailures {
            let (connection, _) = try daemon.begin()
            try begin(on: connection)
            while true {
                for news in try connection.next() {
                    switch news {
                    case .aside(.watched(let event)): say(event)
                    case .forgotten:
                        say(.none)
                        try begin(on: connection)
                    case .welcome, .aside, .answer: break
                    }
                }
            }
        }
    }

    private func begin(on connection: ResumingConnection) throws {
        let answer = try connection.ask(.watch(prefix: prefix)) { aside in
            if case .watched(let event) = aside { say(event) }
        }
        switch answer {
        case .watching: break
        case .error(let error): throw Refused(error)
        case let reply: throw Unexpected(reply)
        }
    }

    /// Says what has happened; without an event, that some may have been missed.
    private func say(_ event: WatchEvent?) {
        if let event {
            print(json ? Self.json(event, at: .now()).line : Self.line(event, at: .now(), with: .output))
        } else {
            print(json ? Self.jsonOfRestart(at: .now()).line : Self.lineOfRestart(at: .now(), with: .output))
        }
        // Whoever reads it is to see it now, also through a pipe.
        fflush(nil)
    }

    /// The next daemon does not remember the watch.
    static func lineOfRestart(at now: WallTime, with ink: Ink) -> String {
        "\(ink(now.display(at: now), .quiet)) \(ink("missed", .wrong)) what happened while lockd restarted without its record"
    }

    static func jsonOfRestart(at now: WallTime) -> JSON {
        .object([kind("missed"), ("time_ms", .integer(now.milliseconds)), ("count", .null)])
    }

    /// `14:02:11 granted reports/nightly to make (pid 12, user ci) after 3 s, token 17 (nightly run)`.
    static func line(_ event: WatchEvent, at now: WallTime, with ink: Ink) -> String {
        let (what, rest) = words(event)
        return "\(ink(now.display(at: now), .quiet)) \(ink(what, emphasis(event))) \(rest)"
    }

    private static func emphasis(_ event: WatchEvent) -> Emphasis? {
        switch event {
        case .granted: .good
        case .queued: .warning
        case .unqueued: nil
        case .over(_, _, let outcome, _, _, _): outcome == .released ? nil : .wrong
        case .missed: .wrong
        }
    }

    /// What has happened, in a word and what follows it.
    private static func words(_ event: WatchEvent) -> (what: String, rest: String) {
        switch event {
        case .queued(let names, let peer, let position, let note):
            ("queued", "\(names.display) for \(peer.display), #\(position)\(words(note))")
        case .unqueued(let names, let peer, let waited, let reason):
            (reason.rawValue, "\(names.display) for \(peer.display) after \(waited.display)")
        case .granted(let names, let peer, let token, let waited, let note):
            ("granted", "\(names.display) to \(peer.display) after \(waited.display), token \(token)\(words(note))")
        case .over(let names, let peer, let outcome, let token, let held, let note):
            (
                outcome.rawValue,
                "\(names.display) of \(peer.display) after \(held.display), token \(token)\(words(note))"
            )
        case .missed(let count): ("missed", "\(count) events: they came faster than they were read")
        }
    }

    private static func words(_ note: Text?) -> String { note.map { " (\($0.display))" } ?? "" }

    static func json(_ event: WatchEvent, at now: WallTime) -> JSON {
        let time = ("time_ms", JSON.integer(now.milliseconds))
        switch event {
        case .queued(let names, let peer, let position, let note):
            return .object(
                [kind("queued"), time] + json(names, peer) + [json(note), ("position", .integer(position))]
            )
        case .unqueued(let names, let peer, let waited, let reason):
            let ending = [("waited_ms", JSON.integer(waited.count)), ("reason", .string(reason.rawValue))]
            return .object([kind("unqueued"), time] + json(names, peer) + ending)
        case .granted(let names, let peer, let token, let waited, let note):
            let grant = [json(note), ("token", JSON.integer(token.value)), ("waited_ms", .integer(waited.count))]
            return .object([kind("granted"), time] + json(names, peer) + grant)
        case .over(let names, let peer, let outcome, let token, let held, let note):
            let lease = [json(note), ("token", JSON.integer(token.value)), ("held_ms", .integer(held.count))]
            return .object([kind(outcome.rawValue), time] + json(names, peer) + lease)
        case .missed(let count): return .object([kind("missed"), time, ("count", .integer(count))])
        }
    }

    private static func kind(_ event: String) -> (String, JSON) { ("event", .string(event)) }

    private static func json(_ note: Text?) -> (String, JSON) { ("note", .text(note?.display)) }

    private static func json(_ names: LockNames, _ peer: Reply.Peer) -> [(String, JSON)] {
        [
            ("names", .array(names.map { .string($0.display) })),
            ("names_escaped", .array(names.map { .string($0.spelling) })),
        ] + Listing.json(peer)
    }
}
