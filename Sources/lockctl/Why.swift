import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl why`: in sentences, why a lock is not free.
struct Why: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        _superCommandName: Lockctl.name,
        abstract: "Say why a lock is not free: who is in the way, since when, and what those wait for themselves.",
        discussion: Help.text(
            "The listing that it is taken from is read in pages, so on a busy daemon it is as of several instants.",
            examples: [
                "lockctl why reports/nightly": "in sentences"
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON array, an object for each sentence.")
    var json = false

    @Argument(help: "The lock.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func run() throws {
        try reportingFailures {
            let (connection, welcome, _) = try daemon.connect()
            let standing = Standing(try Listing(from: connection) { .list(prefix: nil, $0) })
            var workers = Workers(daemon: welcome.process)
            let reasons = Reason.all(of: name, in: standing, &workers)
            if json { return print(JSON.array(reasons.map(\.json)).line) }
            for reason in reasons { print(reason.sentence) }
        }
    }
}

/// One thing that is to be said of a lock.
struct Reason {
    let kind: String
    let name: LockName
    let peer: Reply.Peer?
    let duration: Milliseconds?
    let sentence: String

    /// For how many holders of one lock it is said who they are.
    private static let holderLimit = 3

    /// Why `name` is not free, then why those in the way do not go on; each lock once.
    static func all(
        of name: LockName,
        in standing: Standing,
        _ workers: inout Workers
    ) -> [Reason] {
        var reasons: [Reason] = []
        var (locks, seen): ([LockName], Set<LockName>) = ([name], [name])
        while let lock = locks.popLast() {
            reasons += own(of: lock, in: standing, &workers)
            for lease in standing.leases[lock] ?? [] {
                for wait in standing.waits(of: lease.peer) where seen.insert(wait.name).inserted {
                    reasons.append(chained(lease, wait))
                    locks.append(wait.name)
                }
            }
        }
        return reasons
    }

    private static func own(
        of name: LockName,
        in standing: Standing,
        _ workers: inout Workers
    ) -> [Reason] {
        let (leases, waiters) = (standing.leases[name] ?? [], standing.waiters[name] ?? [])
        var reasons = leases.prefix(holderLimit).flatMap { lease -> [Reason] in
            let orphan = "something that it has started holds the lease still"
            guard let bereavement = workers.crew(of: lease)?.bereavement(of: lease.peer, orphan) else {
                return [held(lease)]
            }
            return [held(lease), Reason("orphaned", name, "\(bereavement).", lease.peer)]
        }
        if leases.count > holderLimit {
            reasons.append(Reason("more", name, "So do \(leases.count - holderLimit) more."))
        }
        if leases.isEmpty, waiters.isEmpty { return [Reason("free", name, "\(name.display) is free.")] }
        if leases.isEmpty {
            reasons.append(Reason("reserved", name, "Nobody holds \(name.display), but it is not free:"))
        }
        guard let first = waiters.first else { return reasons }
        let all = first.nameCount > 1 ? " for all \(first.nameCount) names of its request" : ""
        let number = waiters.count == 1 ? "One request waits" : "\(waiters.count) requests wait"
        let whose = waiters.count == 1 ? ", that" : "; the first is that"
        reasons.append(
            Reason(
                "waiting",
                name,
                "\(number) for \(name.display)\(whose) of \(first.peer.display), which has waited\(all) for \(first.waited.display).",
                first.peer,
                first.waited
            )
        )
        return reasons
    }

    private static func held(_ lease: Reply.LeaseLine) -> Reason {
        let mode = Listing.words(lease.holderLimit) + Listing.words(detached: lease.detached)
        let note = lease.note.map { ": \($0.display)" } ?? ""
        let left = lease.left.map { " It ends in \($0.display), unless it is renewed." } ?? ""
        return Reason(
            "held",
            lease.name,
            "\(lease.name.display) is held by \(lease.peer.display) for \(lease.held.display)\(mode)\(note).\(left)",
            lease.peer,
            lease.held
        )
    }

    private static func chained(_ lease: Reply.LeaseLine, _ wait: Reply.WaiterLine) -> Reason {
        Reason(
            "chained",
            wait.name,
            "\(lease.peer.display), which holds \(lease.name.display), waits for \(wait.name.display) itself, for \(wait.waited.display).",
            lease.peer,
            wait.waited
        )
    }

    private init(
        _ kind: String,
        _ name: LockName,
        _ sentence: String,
        _ peer: Reply.Peer? = nil,
        _ duration: Milliseconds? = nil
    ) {
        self.kind = kind
        self.name = name
        self.peer = peer
        self.duration = duration
        self.sentence = sentence
    }

    var json: JSON {
        .object { object in
            object.write(member: "reason", .string(kind))
            object.write(member: "name", .string(name.display))
            object.write(member: "name_escaped", .string(name.spelling))
            Listing.add(peer ?? Reply.Peer(session: nil, process: nil, user: nil, command: nil), to: &object)
            object.write(member: "for_ms", .integer(duration?.count))
            object.write(member: "sentence", .string(sentence))
        }
    }
}
