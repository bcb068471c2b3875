import LockdModel
import Testing

@testable import LockdCore

// Alice and Bob are of one user, Carol is of another.
private let user = UserID(1000)
private let root = RequestID(SessionID(10))
private let daemon = RequestID(SessionID(11))
private let nobody = RequestID(SessionID(12))

private let longNote: Text = "a note of 87 bytes, which is one more than there is room for behind the name of the lock"

extension TableFixture {
    /// How many more bytes may be kept for a user.
    func bytesLeft(for user: UserID) -> Int {
        var table = table
        return table.bytesLeft(for: user)
    }
}

/// What one user may have, all of its sessions together.
@Suite struct UserTests {
    @Test func userHasSoManyLeases() {
        let table = TableFixture { $0.leasesPerUser = 2 }
        table.acquire("a", by: alice)
        table.acquire("b", by: bob)
        #expect(table.acquire("c", by: alice) == [.refused(alice, .tooManyLeasesOfUser(limit: 2))])
        #expect(table.acquire("c", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 2))])
        #expect(table.acquire("c", by: carol) == [.granted("c", to: carol, token: 3)])
        table.release("a", by: alice)
        #expect(table.acquire("d", by: bob) == [.granted("d", to: bob, token: 4)])
    }

    @Test func eachNameOfASetIsALeaseOfTheUser() {
        let table = TableFixture { $0.leasesPerUser = 3 }
        #expect(table.acquire("a b c d", by: alice) == [.refused(alice, .tooManyLeasesOfUser(limit: 3))])
        table.acquire("a b", by: alice)
        #expect(table.acquire("c d", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 3))])
        #expect(table.acquire("c", by: bob) == [.granted("c", to: bob, token: 2)])
    }

    @Test func waitThatCanBecomeALeaseBesideOthersIsCounted() {
        let table = TableFixture { $0.leasesPerUser = 1 }
        table.acquire("a", by: carol)
        table.acquire("a", by: alice, limit: .shared)
        #expect(table.acquire("a", by: bob, limit: .shared) == [.refused(bob, .tooManyLeasesOfUser(limit: 1))])
        #expect(table.acquire("b", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 1))])
    }

    @Test func exclusiveWaitIsNotCountedBeforeItsTurn() {
        let table = TableFixture { $0.leasesPerUser = 1 }
        table.acquire("a", by: carol)
        table.acquire("a", by: alice)
        table.acquire("b", by: bob)
        #expect(table.release("a", by: carol).last == .granted("a", to: alice, token: 3))
        // The user has one more than it may have, in place of somebody else's.
        #expect(table.acquire("c", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 1))])
        table.release("a", by: alice)
        #expect(table.acquire("c", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 1))])
        // So an exclusive request may wait still.
        table.acquire("d", by: carol)
        #expect(table.acquire("d", by: alice) == [])
        table.release("b", by: bob)
        #expect(table.acquire("c", by: bob) == [.granted("c", to: bob, token: 5)])
    }

    @Test func userHasSoManyWaits() {
        let table = TableFixture { $0.waitersPerUser = 1 }
        table.acquire("a", by: carol)
        table.acquire("a", by: alice)
        #expect(table.acquire("a", by: bob) == [.refused(bob, .tooManyWaitersOfUser(limit: 1))])
        #expect(table.acquire("b", by: bob) == [.granted("b", to: bob, token: 2)])
        table.disconnect(alice)
        #expect(table.acquire("a", by: bob) == [])
    }

    @Test func everyByteOfAClaimIsCounted() {
        let table = TableFixture()
        let all = table.limits.bytesPerUser
        table.acquire("db", by: alice)
        #expect(table.bytesLeft(for: user) == all - 514)
        // Names and texts count as they are written: "%20" has three bytes.
        table.acquire("mail db/x", by: bob, owner: "me", note: "a b")
        #expect(table.bytesLeft(for: user) == all - 514 - (516 + 516 + 2 + 5))
        table.acquire("db", by: bob.tagged("1"))
        #expect(table.bytesLeft(for: user) == all - 514 - 1039 - 514)
        #expect(table.bytesLeft(for: UserID(1001)) == all)
    }

    @Test func requestIsRefusedIfThereIsNoRoomForItsBytes() {
        let table = TableFixture { $0.bytesPerUser = 1026 }
        table.acquire("a", by: alice)
        #expect(table.acquire("b", by: bob, note: "n") == [.refused(bob, .tooManyBytesOfUser(limit: 1026))])
        #expect(table.acquire("b", by: bob) == [.granted("b", to: bob, token: 2)])
        #expect(table.bytesLeft(for: user) == 0)
        #expect(table.acquire("a", by: bob, wait: .none) == [.busy("a", to: bob, holder: alice)])
        #expect(
            table.acquire("a", by: bob.tagged("1")) == [
                .refused(bob.tagged("1"), .tooManyBytesOfUser(limit: 1026))
            ]
        )
        #expect(table.acquire("b", by: bob) == [.held("b", by: bob, token: 2)])
        #expect(table.acquire("c", by: carol) == [.granted("c", to: carol, token: 3)])
        table.release("a", by: alice)
        #expect(table.acquire("c", by: bob.tagged("1")) == [])
    }

    @Test func whatIsBufferedCounts() {
        let table = TableFixture { $0.bytesPerUser = 1000 }
        table.apply(.bytesBuffered(user, 400))
        #expect(
            table.acquire("db", by: alice, note: longNote) == [
                .refused(alice, .tooManyBytesOfUser(limit: 1000))
            ]
        )
        #expect(table.acquire("db", by: alice) == [.granted("db", to: alice, token: 1)])
        // More can be buffered than there is room for: it is there already.
        table.apply(.bytesBuffered(user, 900))
        #expect(table.bytesLeft(for: user) == 1000 - 900 - 514)
        #expect(table.acquire("a", by: bob) == [.refused(bob, .tooManyBytesOfUser(limit: 1000))])
        table.apply(.bytesBuffered(user, 0))
        table.release("db", by: alice)
        #expect(table.acquire("a", by: bob) == [.granted("a", to: bob, token: 2)])
    }

    @Test func limitsOfAUserAreMetBehindThoseOfItsSessionAndBeforeThoseOfTheDaemon() {
        var limits = Limits()
        (limits.leases, limits.leasesPerUser) = (1, 0)
        (limits.waiters, limits.waitersPerUser, limits.waitersPerSession, limits.bytesPerUser) = (0, 0, 0, 0)
        let steps: [(Refusal, (inout Limits) -> Void)] = [
            (.tooManyWaitersOfSession(limit: 0), { $0.waitersPerSession = 9 }),
            (.tooManyLeasesOfUser(limit: 0), { $0.leasesPerUser = 9 }),
            (.tooManyWaitersOfUser(limit: 0), { $0.waitersPerUser = 9 }),
            (.tooManyBytesOfUser(limit: 0), { $0.bytesPerUser = 9999 }),
            (.tooManyLeases(limit: 1), { $0.leases = 9 }), (.tooManyWaiters(limit: 0), { $0.waiters = 9 }),
        ]
        for (refusal, change) in steps {
            let table = TableFixture { $0 = limits }
            table.open(root, user: .root)
            table.acquire("db", by: root)
            #expect(table.acquire("db", by: alice, limit: .shared) == [.refused(alice, refusal)])
            change(&limits)
        }
    }

    @Test func rootAndTheUserOfTheDaemonAreExempt() {
        let table = TableFixture {
            ($0.leasesPerUser, $0.waitersPerUser, $0.bytesPerUser) = (0, 0, 0)
            $0.daemonUser = UserID(7)
        }
        table.open(root, user: .root)
        table.open(daemon, user: UserID(7))
        table.apply(.bytesBuffered(.root, 1 << 30))
        table.apply(.bytesBuffered(UserID(7), 1 << 30))
        #expect(table.acquire("a b", by: root) == [.granted("a b", to: root, token: 1)])
        #expect(table.acquire("a", by: daemon.tagged("1")) == [])
        #expect(table.acquire("c", by: daemon) == [.granted("c", to: daemon, token: 2)])
        #expect(table.acquire("c", by: root, limit: .shared) == [])
        #expect(table.bytesLeft(for: .root) > 1 << 60)
        #expect(table.acquire("d", by: alice) == [.refused(alice, .tooManyLeasesOfUser(limit: 0))])
    }

    @Test func overflowUserIsOneUserAndNeverExempt() {
        let table = TableFixture {
            $0.leasesPerUser = 1
            $0.daemonUser = .overflow
        }
        table.open(nobody, user: .overflow)
        table.open(dave, user: .overflow)
        table.acquire("a", by: nobody)
        #expect(table.acquire("b", by: dave) == [.refused(dave, .tooManyLeasesOfUser(limit: 1))])
    }

    @Test func accountIsForgottenWithTheLastLeaseOfTheLastSession() {
        let table = TableFixture()
        #expect(table.userCount == 2)
        table.acquire("a", by: carol)
        table.disconnect(carol)
        #expect(table.userCount == 2)
        table.passTime()
        #expect(table.userCount == 1)
        table.disconnect(alice)
        #expect(table.userCount == 1)
        table.disconnect(bob)
        #expect(table.userCount == 0)
    }

    @Test func accountIsKeptWhileSomethingIsBuffered() {
        let table = TableFixture { $0.bytesPerUser = 1000 }
        table.apply(.bytesBuffered(UserID(1001), 900))
        table.disconnect(carol)
        #expect(table.userCount == 2)
        table.open(dave, user: UserID(1001))
        #expect(table.acquire("a", by: dave) == [.refused(dave, .tooManyBytesOfUser(limit: 1000))])
        table.disconnect(dave)
        table.apply(.bytesBuffered(UserID(1001), 0))
        #expect(table.userCount == 1)
    }

    @Test func shortWayIsNotOpenToAUserAtItsLimit() {
        for change in [{ $0.leasesPerUser = 1 }, { $0.bytesPerUser = 1027 }] as [(inout Limits) -> Void] {
            let fixture = TableFixture(change)
            fixture.acquire("db", by: alice)
            fixture.release("db", by: alice)
            fixture.acquire("mail", by: alice)
            var table = fixture.table
            let left = table.bytesLeft(for: user)
            let event = Event.acquireRequested(AcquireRequest(alice, "db"))
            #expect(table.effectAtOnce(of: event, at: fixture.now) == nil)
            #expect(table.bytesLeft(for: user) == left)
            table.checkInvariants()
        }
    }

    @Test func shortWayChargesAndRefunds() {
        let fixture = TableFixture { $0.leasesPerUser = 1 }
        fixture.acquire("db", by: alice)
        fixture.release("db", by: alice)
        var table = fixture.table
        let acquire = Event.acquireRequested(AcquireRequest(bob, "db"))
        #expect(table.effectAtOnce(of: acquire, at: fixture.now) != nil)
        #expect(table.bytesLeft(for: user) == table.limits.bytesPerUser - 514)
        table.checkInvariants()
        #expect(table.effectAtOnce(of: .releaseRequested(bob, "db", token: nil), at: fixture.now) != nil)
        #expect(table.bytesLeft(for: user) == table.limits.bytesPerUser)
        table.checkInvariants()
    }

    // MARK: Every way in which a claim can end

    /// A claim of Alice's, and how it ends.
    enum Story: CaseIterable {
        case released, renewedAndReleased, expired, revoked, endedWithItsSession, expiredBehindTheEndOfItsSession
        case cancelled, timedOut, waitEndedWithItsSession, waitEndedByAnOtherTag
        case grantedAndReleased, grantedInALaterTurn, sharedOfSeveral, bound, waitForABoundLease
        case refused, busy, deadlocked
    }

    @Test(arguments: Story.allCases, ["db", "db mail"] as [LockNames])
    func whatEndsIsRefunded(_ story: Story, _ names: LockNames) {
        let table = TableFixture { $0.grantsPerTurn = 1 }
        let tagged = alice.tagged("1")
        switch story {
        case .released:
            table.acquire(names, by: alice, owner: "o", note: "n")
            table.acquire(names, by: alice, owner: "p", note: "n")
            table.release("db", by: alice)
            table.release("db", by: alice)
        case .renewedAndReleased:
            table.acquire(names, by: alice)
            table.renew("db", by: alice, ttl: .seconds(1))
            table.release("db", by: alice)
        case .expired:
            table.acquire(names, by: alice, ttl: .seconds(1), note: "n")
            table.advance(.seconds(1))
        case .revoked:
            table.acquire(names, by: alice)
            table.revoke("db", by: bob)
        case .endedWithItsSession, .expiredBehindTheEndOfItsSession:
            table.acquire(names, by: alice, ttl: .seconds(1))
            if story != .endedWithItsSession { table.moveClock(.seconds(2)) }
            table.disconnect(alice)
            table.passTime()
        case .cancelled, .timedOut, .waitEndedWithItsSession, .waitEndedByAnOtherTag, .grantedAndReleased:
            table.acquire("db", by: carol)
            table.acquire(names, by: tagged, wait: .after(.seconds(1)), owner: "o", note: "n")
            switch story {
            case .cancelled: table.cancel("1", by: alice)
            case .timedOut: table.advance(.seconds(1))
            case .waitEndedByAnOtherTag:
                table.moveClock(.seconds(1))
                table.cancel("1", by: alice)
            case .grantedAndReleased:
                table.release("db", by: carol)
                table.release("db", by: alice)
            default: table.disconnect(alice)
            }
        case .grantedInALaterTurn, .sharedOfSeveral:
            grantSeveral(names, story == .sharedOfSeveral ? .shared : .exclusive, in: table)
        case .bound, .waitForABoundLease:
            bind(names, andWait: story == .waitForABoundLease, in: table)
        case .refused:
            table.acquire("db", by: alice, limit: .shared)
            table.acquire(names, by: alice)
            table.release("db", by: alice)
        case .busy:
            table.acquire("db", by: carol)
            table.acquire(names, by: alice, wait: .none)
        case .deadlocked:
            table.acquire("mine", by: alice)
            table.acquire("db", by: carol)
            table.acquire("mine", by: carol)
            table.acquire(names, by: alice)
            table.release("mine", by: alice)
        }
        #expect(table.bytesLeft(for: user) == table.limits.bytesPerUser)
        for id in [alice, bob, carol] where table.sessionIsThere(id) { table.disconnect(id) }
        for _ in 1...4 { table.passTime() }
        #expect(table.leaseCount == 0)
        #expect(table.userCount == 0)
    }

    private func grantSeveral(_ names: LockNames, _ limit: HolderLimit, in table: TableFixture) {
        table.acquire("db", by: carol)
        for tag in 1...3 as ClosedRange<UInt64> { table.acquire(names, by: alice.tagged(Tag(tag)), limit: limit) }
        table.release("db", by: carol)
        for _ in 1...4 {
            table.passTime()
            table.release("db", by: alice)
        }
    }

    /// The lease is somebody else's session, and Alice's user pays for it.
    private func bind(_ names: LockNames, andWait waits: Bool, in table: TableFixture) {
        if waits { table.acquire("db", by: carol) }
        let peer = Peer(process: ProcessID(77), user: UserID(1002))
        let holder = BoundHolder(session: SessionID(77), peer: peer)
        table.apply(.acquireRequested(AcquireRequest(alice, AcquireTerms(names: names), boundHolder: holder)))
        #expect(table.bytesLeft(for: user) < table.limits.bytesPerUser)
        #expect(table.bytesLeft(for: UserID(1002)) == table.limits.bytesPerUser)
        table.disconnect(alice)
        #expect((table.bytesLeft(for: user) < table.limits.bytesPerUser) == !waits)
        if !waits { table.apply(.bindingEnded(SessionID(77))) }
        table.passTime()
    }
}

extension TableFixture {
    fileprivate func sessionIsThere(_ id: RequestID) -> Bool {
        table.sessionSlots[id.session].map { !table.hasEnded($0) } ?? false
    }
}
