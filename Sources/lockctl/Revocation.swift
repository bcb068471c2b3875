import Glibc
import LockdModel
import LockdWire

/// What taking a lease from its holder would do, for somebody who is about to.
struct Revocation {
    /// The lease that would be taken.
    let lease: Reply.LeaseLine
    /// Who else holds the lock, and keeps it.
    private let others: [Reply.LeaseLine]
    private let waiters: [Reply.WaiterLine]
    private let crew: Workers.Crew?

    /// Of how many other holders it is said who they are.
    private static let otherLimit = 20

    /// The revocation of the lease with `token`, or without one of the lease that was granted first, as the daemon decides it; `nil` if there is no such lease.
    ///
    /// - Parameter daemon: the daemon's process.
    init?(of token: FencingToken?, in listing: Listing, daemon: ProcessID) {
        var (leases, waiters): ([Reply.LeaseLine], [Reply.WaiterLine]) = ([], [])
        for line in listing.lines {
            switch line {
            case .lease(let lease): leases.append(lease)
            case .waiter(let waiter): waiters.append(waiter)
            }
        }
        guard let lease = leases.first(where: { token == nil || $0.token == token }) else { return nil }
        self.lease = lease
        others = leases.filter { $0.token != lease.token }
        self.waiters = waiters
        var workers = Workers(daemon: daemon)
        crew = workers.crew(of: lease)
    }

    /// Who loses what, who else is there, and what happens then: one sentence a line.
    func sentences(at now: WallTime) -> [String] {
        let since = now.earlier(by: lease.held).display(at: now)
        let mode = Listing.words(lease.holderLimit) + Listing.words(lease.binding)
        let note = lease.note.map { ": \($0.display)" } ?? ""
        var sentences = [
            "\(lease.name.display) is held by \(lease.peer.display) since \(since), for \(lease.held.display)\(mode)\(note)."
        ]
        if lease.nameCount > 1 {
            sentences.append("The lease, token \(lease.token), is on \(lease.nameCount) names; all of them are lost.")
        } else {
            sentences.append("The lease that is lost has the token \(lease.token).")
        }
        sentences += others.prefix(Self.otherLimit).map { other in
            "It is held by \(other.peer.display) too, for \(other.held.display), token \(other.token), and stays so."
        }
        if others.count > Self.otherLimit { sentences.append("So it is by \(others.count - Self.otherLimit) more.") }
        return sentences + [queue, experience] + [warning].compactMap { $0 }
    }

    /// That it may be refused.
    ///
    /// The daemon decides; where users have other numbers than for the daemon, it may be wrong here.
    private var warning: String? {
        guard let user = lease.peer.user, geteuid() != 0, user.value != geteuid() else { return nil }
        return "Only \(user.value == 0 ? "" : "user \(Users.name(of: user)) and ")root may revoke it."
    }

    private var queue: String {
        guard let first = waiters.first else { return "Nobody waits for it." }
        let number = waiters.count == 1 ? "One request waits for it" : "\(waiters.count) requests wait for it"
        let more = first.nameCount > 1 ? ", with other names" : ""
        return
            "\(number); the next is that of \(first.peer.display), which has waited for \(first.waited.display)\(more)."
    }

    /// What becomes of the holder.
    private var experience: String {
        let overlap = waiters.isEmpty ? "" : "; what it does until then, it does beside the next holder"
        if let words = crew?.bereavement(of: lease.peer, "what it has started is told nothing and goes on\(overlap)") {
            return words + "."
        }
        if lease.binding == .pipe, lease.peer.command?.display == "lockctl" {
            return
                "lockctl, if it is there still, is told at once, and ends the command and all that this has started, unless --on-loss says otherwise\(overlap)."
        }
        if lease.binding != nil {
            return
                "Whoever asked for the lease is told, if it is there still, and what it is bound to goes on\(overlap)."
        }
        if lease.detached != nil {
            return "Its process has no connection now, is told when it is back, and goes on until then\(overlap)."
        }
        return "Its process is told at once, is not ended, and goes on until it takes notice\(overlap)."
    }
}
