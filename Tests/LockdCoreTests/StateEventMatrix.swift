import LockdCore
import LockdModel

/// How things stand between a session, which is Alice's, and a name, which is `db`.
///
/// Bob and Carol are the others, and `mail` is the other name.
enum Situation: String, CaseIterable, Codable {
    case free
    case heldByMe
    case heldByAnotherOwnerOfMine
    case heldByAnother
    case waitingAtTheHead
    case waitingBehindAnother
    case waitDue
    case leaseDue
    case leaseDueWhileWaiting
    case ownLeaseDue
    case holderEnded
    case holderEndedWhileWaiting
    case draining
    case drainingWithALease
    case drainingWhileHeldByAnother
    case ended
    case endedWithALease
    case heldByMeWithAnotherName
    case heldByMeBesideAnotherName
    case heldByAnotherWithAnotherName
    case freeWhileWaitingForAnotherName
    case freeBehindOneWhoWaitsForAnotherName
    case waitForSeveralDue
    case leaseOnSeveralDue
    case leaseOnSeveralDueWhileWaiting
    case holderOfSeveralEnded
    case drainingWithALeaseOnSeveral

    /// A table in this situation.
    ///
    /// Alice's waiting request is `#w`, the lease has token 1.
    func arrange() -> TableFixture {
        let table = TableFixture()
        arrange(table)
        return table
    }

    private func arrange(_ table: TableFixture) {
        switch self {
        case .free:
            break
        case .heldByMe:
            table.acquire("db", by: alice)
        case .heldByAnotherOwnerOfMine:
            table.acquire("db", by: alice, owner: "another")
        case .heldByAnother:
            table.acquire("db", by: bob)
        case .waitingAtTheHead:
            table.acquire("db", by: bob)
            table.acquire("db", by: alice.tagged("w"))
        case .waitingBehindAnother:
            table.acquire("db", by: bob)
            table.acquire("db", by: carol)
            table.acquire("db", by: alice.tagged("w"))
        case .waitDue:
            table.acquire("db", by: bob)
            table.acquire("db", by: alice.tagged("w"), wait: .after(.seconds(10)))
            table.moveClock(.seconds(10))
        case .leaseDue:
            table.acquire("db", by: bob, ttl: .seconds(10))
            table.moveClock(.seconds(10))
        case .leaseDueWhileWaiting:
            table.acquire("db", by: bob, ttl: .seconds(10))
            table.acquire("db", by: alice.tagged("w"))
            table.moveClock(.seconds(10))
        case .ownLeaseDue:
            table.acquire("db", by: alice, ttl: .seconds(10))
            table.moveClock(.seconds(10))
        case .holderEnded:
            table.acquire("db", by: bob)
            table.disconnect(bob)
        case .holderEndedWhileWaiting:
            table.acquire("db", by: bob)
            table.acquire("db", by: alice.tagged("w"))
            table.disconnect(bob)
        case .draining:
            table.endInput(of: alice)
        case .drainingWithALease:
            table.acquire("db", by: alice)
            table.endInput(of: alice)
        case .drainingWhileHeldByAnother:
            table.acquire("db", by: bob)
            table.endInput(of: alice)
        case .ended:
            table.disconnect(alice)
        case .endedWithALease:
            table.acquire("db", by: alice)
            table.disconnect(alice)
        case .heldByMeWithAnotherName, .heldByMeBesideAnotherName, .heldByAnotherWithAnotherName,
            .freeWhileWaitingForAnotherName, .freeBehindOneWhoWaitsForAnotherName, .waitForSeveralDue,
            .leaseOnSeveralDue, .leaseOnSeveralDueWhileWaiting, .holderOfSeveralEnded, .drainingWithALeaseOnSeveral:
            arrangeSeveralNames(table)
        }
    }

    private func arrangeSeveralNames(_ table: TableFixture) {
        switch self {
        case .heldByMeWithAnotherName:
            table.acquire("mail db", by: alice)
        case .heldByMeBesideAnotherName:
            table.acquire("db", by: alice)
            table.acquire("mail", by: alice)
        case .heldByAnotherWithAnotherName:
            table.acquire("mail db", by: bob)
        case .freeWhileWaitingForAnotherName:
            table.acquire("mail", by: bob)
            table.acquire("db mail", by: alice.tagged("w"))
        case .freeBehindOneWhoWaitsForAnotherName:
            table.acquire("mail", by: bob)
            table.acquire("mail db", by: carol)
            table.acquire("db", by: alice.tagged("w"))
        case .waitForSeveralDue:
            table.acquire("mail", by: bob)
            table.acquire("db mail", by: alice.tagged("w"), wait: .after(.seconds(10)))
            table.moveClock(.seconds(10))
        case .leaseOnSeveralDue:
            table.acquire("mail db", by: bob, ttl: .seconds(10))
            table.moveClock(.seconds(10))
        case .leaseOnSeveralDueWhileWaiting:
            table.acquire("mail db", by: bob, ttl: .seconds(10))
            table.acquire("db mail", by: alice.tagged("w"))
            table.moveClock(.seconds(10))
        case .holderOfSeveralEnded:
            table.acquire("mail db", by: bob)
            table.acquire("mail", by: carol)
            table.disconnect(bob)
        case .drainingWithALeaseOnSeveral:
            table.acquire("mail db", by: alice)
            table.endInput(of: alice)
        case .free, .heldByMe, .heldByAnotherOwnerOfMine, .heldByAnother, .waitingAtTheHead, .waitingBehindAnother,
            .waitDue, .leaseDue, .leaseDueWhileWaiting, .ownLeaseDue, .holderEnded, .holderEndedWhileWaiting, .draining,
            .drainingWithALease, .drainingWhileHeldByAnother, .ended, .endedWithALease:
            break
        }
    }
}

/// What happens then: every event, and of ACQUIRE the five ways that differ.
enum Happening: String, CaseIterable, Codable {
    case opened
    case acquire
    case tryAcquire
    case acquireUnderTagW
    case acquireBoth
    case tryAcquireBoth
    case release
    case renew
    case cancelTagW
    case revoke
    case inspected
    case inputEnded
    case sessionEnded
    case sessionDetached
    case sessionAttached
    case grantsSuspended
    case tokensReserved
    case bytesBuffered
    case bindingEnded
    case progressDue
    case timePassed

    var event: Event {
        switch self {
        case .opened: .sessionOpened(alice.session, user: UserID(1000))
        case .acquire: .acquireRequested(AcquireRequest(alice, "db"))
        case .tryAcquire: .acquireRequested(AcquireRequest(alice, "db", wait: .none))
        case .acquireUnderTagW: .acquireRequested(AcquireRequest(alice.tagged("w"), "db"))
        case .acquireBoth: .acquireRequested(AcquireRequest(alice, "db mail"))
        case .tryAcquireBoth: .acquireRequested(AcquireRequest(alice, "db mail", wait: .none))
        case .release: .releaseRequested(alice, "db", token: nil)
        case .renew: .renewRequested(alice, "db", token: nil, timeToLive: .seconds(5))
        case .cancelTagW: .cancelRequested(alice, tag: "w")
        case .revoke: .revokeRequested(alice, "db", token: nil, reason: nil)
        case .inspected: .nameInspected("db")
        case .inputEnded: .inputEnded(alice.session)
        case .sessionEnded: .sessionEnded(alice.session)
        case .sessionDetached: .sessionDetached(alice.session)
        case .sessionAttached: .sessionAttached(alice.session)
        case .grantsSuspended: .grantsSuspended(until: MonotonicInstant(nanoseconds: 60_000_000_000))
        case .tokensReserved: .tokensReserved(through: 2_000_000)
        case .bytesBuffered: .bytesBuffered(UserID(1000), 100)
        case .bindingEnded: .bindingEnded(SessionID(1000))
        case .progressDue: .progressDue
        case .timePassed: .timePassed
        }
    }

    /// The columns for the kind of event that `event` is.
    ///
    /// Does not compile while a kind is missing.
    static func columns(for event: Event) -> [Happening] {
        switch event {
        case .sessionOpened: [.opened]
        case .acquireRequested: [.acquire, .tryAcquire, .acquireUnderTagW, .acquireBoth, .tryAcquireBoth]
        case .releaseRequested: [.release]
        case .renewRequested: [.renew]
        case .cancelRequested: [.cancelTagW]
        case .revokeRequested: [.revoke]
        case .nameInspected: [.inspected]
        case .inputEnded: [.inputEnded]
        case .sessionEnded: [.sessionEnded]
        case .sessionDetached: [.sessionDetached]
        case .sessionAttached: [.sessionAttached]
        case .grantsSuspended: [.grantsSuspended]
        case .tokensReserved: [.tokensReserved]
        case .bytesBuffered: [.bytesBuffered]
        case .bindingEnded: [.bindingEnded]
        case .progressDue: [.progressDue]
        case .timePassed: [.timePassed]
        }
    }
}

/// What the table answers, and how many leases and waiters it has afterwards.
enum Outcome: Equatable {
    case says([Effect], leases: Int, waiters: Int)
    /// The event must not happen then; the program stops.
    case stops

    /// The effects, the leases, the waiters.
    static func says(_ leases: Int, _ waiters: Int, _ effects: Effect...) -> Outcome {
        .says(effects, leases: leases, waiters: waiters)
    }
}
