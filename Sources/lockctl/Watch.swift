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
        _superCommandName: Lockctl.name,
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
        .object { object in
            begin(&object, "missed", at: now)
            object.write(member: "count", .null)
        }
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
        .object { object in
            switch event {
            case .queued(let names, let peer, let position, let note):
                begin(&object, "queued", at: now, names, peer)
                object.write(member: "note", .text(note?.display))
                object.write(member: "position", .integer(position))
            case .unqueued(let names, let peer, let waited, let reason):
                begin(&object, "unqueued", at: now, names, peer)
                object.write(member: "waited_ms", .integer(waited.count))
                object.write(member: "reason", .string(reason.rawValue))
            case .granted(let names, let peer, let token, let waited, let note):
                begin(&object, "granted", at: now, names, peer)
                object.write(member: "note", .text(note?.display))
                object.write(member: "token", .integer(token.value))
                object.write(member: "waited_ms", .integer(waited.count))
            case .over(let names, let peer, let outcome, let token, let held, let note):
                begin(&object, outcome.rawValue, at: now, names, peer)
                object.write(member: "note", .text(note?.display))
                object.write(member: "token", .integer(token.value))
                object.write(member: "held_ms", .integer(held.count))
            case .missed(let count):
                begin(&object, "missed", at: now)
                object.write(member: "count", .integer(count))
            }
        }
    }

    /// Adds what every event has, and, if it is of one process, what all of those have.
    private static func begin(
        _ object: inout ByteBuffer,
        _ event: String,
        at now: WallTime,
        _ names: LockNames? = nil,
        _ peer: Reply.Peer? = nil
    ) {
        object.write(member: "event", .string(event))
        object.write(member: "time_ms", .integer(now.milliseconds))
        if let names {
            object.write(member: "names", .array(names.map { .string($0.display) }))
            object.write(member: "names_escaped", .array(names.map { .string($0.spelling) }))
        }
        if let peer { Listing.add(peer, to: &object) }
    }
}
