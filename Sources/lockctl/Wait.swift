import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

// The wire's own, not the one that the Swift library shows to programs.
import enum LockdWire.WatchEvent

/// `lockctl wait`: until nobody holds a lock.
struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        _superCommandName: Lockctl.name,
        abstract: "Wait until nobody holds a lock, without acquiring it.",
        discussion: Help.text(
            """
            It takes no place in the queue: by the time it returns, somebody else may hold the lock. To have it, use lockctl run or lockctl acquire. Exits with 75 if \
            the time is up. It watches the lock; of one user, 32 sessions may do so at a time, of all together 64.
            """,
            examples: [
                "lockctl wait deploy && ./go": "go on when nobody deploys",
                "lockctl wait -w 10m deploy": "for ten minutes at the most",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(
        name: [.customShort("w"), .customLong("wait")],
        help: ArgumentHelp("Wait so long at the most, then exit with 75: 250ms, 10s, 5m.", valueName: "duration"),
        transform: duration
    )
    var timeout: Milliseconds?

    @Argument(help: "The lock.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func run() throws {
        try reportingFailures {
            let clock = ContinuousClock()
            let deadline = timeout.map { clock.now + .milliseconds($0.count) }
            let (connection, _) = try daemon.begin()
            try watch(on: connection)
            var sight = try look(within: timeout)
            while sight != .free {
                let left = deadline.map {
                    Milliseconds(Int64(max(0, ($0 - clock.now) / .milliseconds(1)).rounded(.up)))
                }
                if left?.count == 0 {
                    complain("\(name.display) \(sight.words)")
                    throw Ending.notAcquired
                }
                let patience = sight == .unknown ? min(left ?? Self.pause, Self.pause) : left
                guard try hasChanged(on: connection, within: patience) || sight == .unknown else { continue }
                sight = try look(within: left)
            }
        }
    }

    /// What has been seen of the lock.
    private enum Sight: Equatable {
        case free
        case held(by: String)
        /// The daemon has just gone, or does not answer; the session goes on when it is back.
        case unknown

        var words: String {
            switch self {
            case .free: "is free"
            case .held(let holder): "is held still, by \(holder)"
            case .unknown: "may be held still; lockd does not answer"
            }
        }
    }

    /// How long to wait before another look at a daemon that could not be asked.
    private static let pause = Milliseconds(100)

    private func watch(on connection: ResumingConnection) throws {
        switch try connection.ask(.watch(prefix: name)) {
        case .watching: break
        case .error(let error): throw Refused(error)
        case let reply: throw Unexpected(reply)
        }
    }

    private func look(within patience: Milliseconds?) throws -> Sight {
        do {
            // On a connection of its own: what comes in several lines does not go with events in between.
            let listing = try Listing(from: daemon.connect(patience: patience).connection) { .show(name, $0) }
            for case .lease(let lease) in listing.lines {
                return .held(by: "\(lease.peer.display) for \(lease.held.display)")
            }
            return .free
        } catch is ConnectFailure {
            return .unknown
        } catch is BlockingConnection.Failure {
            return .unknown
        }
    }

    /// Waits, so many milliseconds at the most, for news of the lock; returns whether it is worth looking.
    private func hasChanged(on connection: ResumingConnection, within left: Milliseconds?) throws -> Bool {
        let limits = [left.map { CInt(clamping: $0.count) }, connection.patience].compactMap(\.self)
        let patience = limits.filter { $0 >= 0 }.min() ?? -1
        var socket = pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&socket, 1, patience)
        var hasChanged = false
        for news in try connection.proceed() {
            switch news {
            case .aside(.watched(.over(let names, _, _, _, _, _))): hasChanged = hasChanged || names.contains(name)
            case .aside(.watched(.missed)): hasChanged = true
            case .forgotten:
                try watch(on: connection)
                hasChanged = true
            case .welcome, .aside, .answer: break
            }
        }
        return hasChanged
    }
}
