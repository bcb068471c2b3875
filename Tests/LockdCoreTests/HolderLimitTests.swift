import LockdCore
import LockdModel
import Testing

/// Several holders of one name: shared and counted leases.
@Suite struct HolderLimitTests {
    @Test func sharedLeasesAreHeldTogether() {
        let table = TableFixture()
        #expect(table.acquire("db", by: alice, limit: .shared) == [.granted("db", to: alice, token: 1)])
        #expect(table.acquire("db", by: bob, limit: .shared) == [.granted("db", to: bob, token: 2)])
        #expect(table.acquire("db", by: carol, limit: .shared) == [.granted("db", to: carol, token: 3)])
        #expect(table.leaseCount == 3)
        #expect(table.lockCount == 1)
    }

    @Test func exclusiveRequestWaitsForAllOfThem() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob, limit: .shared)
        #expect(table.acquire("db", by: carol) == [])
        #expect(table.release("db", by: alice) == [.released("db", to: alice, token: 1)])
        let effects = table.release("db", by: bob)
        #expect(effects == [.released("db", to: bob, token: 2), .granted("db", to: carol, token: 3)])
    }

    @Test func nothingOvertakesAWaitingExclusiveRequest() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob.tagged("w"))
        #expect(table.acquire("db", by: carol.tagged("r"), limit: .shared) == [])
        let busy = Effect.busy("db", to: carol.tagged("t"), holder: alice, waiters: 2)
        #expect(table.acquire("db", by: carol.tagged("t"), wait: .none, limit: .shared) == [busy])
        let effects = table.release("db", by: alice)
        #expect(effects == [.released("db", to: alice, token: 1), .granted("db", to: bob.tagged("w"), token: 2)])
    }

    @Test func releaseGrantsAllSharedRequestsAtTheHead() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"), limit: .shared)
        table.acquire("db", by: carol.tagged("2"), limit: .shared)
        table.acquire("db", by: bob.tagged("3"))
        table.acquire("db", by: carol.tagged("4"), limit: .shared)
        #expect(
            table.release("db", by: alice) == [
                .released("db", to: alice, token: 1), .granted("db", to: bob.tagged("1"), token: 2),
                .granted("db", to: carol.tagged("2"), token: 3),
            ]
        )
    }

    /// Holders so far, the limit that is asked for, and whether there is room for one more.
    @Test(
        arguments: [
            ([2], 2, true), ([2, 2], 2, false), ([3, 2], 3, false), ([2, 3], 9, false), ([3, 3], 2, false),
            ([3, 3], 3, true), ([3, 3], .max, true), ([.max, .max], 3, true), ([.max, .max], 2, false),
            ([.max], 1, false),
            ([1], .max, false), ([9, 9, 9], 4, true), ([9, 9, 4], 9, true), ([9, 9, 4, 9], 9, false),
        ] as [([Int], Int, Bool)]
    )
    func grantedIfEverybodyToleratesOneMore(holders: [Int], asked: Int, isGranted: Bool) {
        let table = TableFixture()
        for (number, limit) in holders.enumerated() {
            let id = alice.tagged(Tag(UInt64(number)))
            let token = FencingToken(UInt64(number + 1))
            #expect(table.acquire("db", by: id, limit: HolderLimit(limit)) == [.granted("db", to: id, token: token)])
        }
        let effects = table.acquire("db", by: bob, wait: .none, limit: HolderLimit(asked))
        let token = FencingToken(UInt64(holders.count + 1))
        let busy = Effect.busy("db", to: bob, holder: alice, holders: holders.count)
        #expect(effects == [isGranted ? .granted("db", to: bob, token: token) : busy])
    }

    @Test func whenTheStrictestLeavesTheOthersDecide() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"), limit: HolderLimit(4))
        table.acquire("db", by: alice.tagged("2"), limit: HolderLimit(2))
        #expect(table.acquire("db", by: bob, limit: HolderLimit(3)) == [])
        #expect(table.acquire("db", by: carol, limit: .shared) == [])
        #expect(
            table.release("db", by: alice, token: 2) == [
                .released("db", to: alice, token: 2), .granted("db", to: bob, token: 3),
                .granted("db", to: carol, token: 4),
            ]
        )
        table.release("db", by: alice)
        #expect(table.acquire("db", by: alice, limit: HolderLimit(3)) == [.granted("db", to: alice, token: 5)])
    }

    @Test func cancellingTheHeadLetsThoseBehindItIn() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob.tagged("w"))
        table.acquire("db", by: carol, limit: .shared)
        #expect(
            table.cancel("w", by: bob) == [
                .cancelled("db", to: bob.tagged("w")), .granted("db", to: carol, token: 2),
                .waitCancelled("w", to: bob),
            ]
        )
    }

    @Test func headThatTimesOutLetsThoseBehindItIn() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob, wait: .after(.seconds(10)))
        table.acquire("db", by: carol, wait: .after(.seconds(20)), limit: .shared)
        let timeout = Effect.timedOut(
            "db",
            to: bob,
            waited: .seconds(10),
            holder: alice,
            held: .seconds(10),
            waiters: 1
        )
        #expect(table.advance(.seconds(10)) == [timeout, .granted("db", to: carol, token: 2)])
    }

    /// The table hears of it only when the second wait, too, is over.
    @Test func headThatTimedOutLongAgoLetsThoseInThatWaitedStill() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob, wait: .after(.seconds(10)))
        table.acquire("db", by: carol, wait: .after(.seconds(20)), limit: .shared)
        let effects = table.advance(.seconds(30))
        #expect(effects.contains(.granted("db", to: carol, token: 2)))
    }

    @Test func eachLeaseExpiresAlone() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared, ttl: .seconds(20))
        table.acquire("db", by: bob, limit: .shared, ttl: .seconds(10))
        #expect(table.advance(.seconds(10)) == [.expired("db", of: bob, token: 2)])
        #expect(table.acquire("db", by: carol) == [])
        #expect(
            table.advance(.seconds(10)) == [.expired("db", of: alice, token: 1), .granted("db", to: carol, token: 3)]
        )
    }

    @Test func ownerThatHoldsIsAnsweredHeldIfItAsksForNoLess() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: HolderLimit(3))
        #expect(table.acquire("db", by: alice, limit: HolderLimit(3)) == [.held("db", by: alice, token: 1)])
        #expect(table.acquire("db", by: alice, limit: .shared) == [.held("db", by: alice, token: 1)])
    }

    @Test func leaseIsNeverMadeStricter() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        for limit in [.exclusive, HolderLimit(2)] {
            #expect(table.acquire("db", by: alice, limit: limit) == [.refused(alice, .stricterLease)])
            #expect(table.acquire("db", by: alice, wait: .none, limit: limit) == [.refused(alice, .stricterLease)])
        }
        #expect(table.leaseCount == 1)
    }

    @Test func withoutATokenTheFirstLeaseOfTheSessionIsMeant() {
        let table = TableFixture()
        table.acquire("db", by: bob, limit: .shared)
        table.acquire("db", by: alice.tagged("1"), limit: .shared)
        table.acquire("db", by: alice.tagged("2"), limit: .shared)
        #expect(
            table.renew("db", by: alice, ttl: .seconds(5)) == [.renewed("db", to: alice, token: 2, ttl: .seconds(5))]
        )
        #expect(table.release("db", by: alice) == [.released("db", to: alice, token: 2)])
        #expect(table.release("db", by: alice) == [.released("db", to: alice, token: 3)])
        #expect(table.release("db", by: alice) == [.notHeld("db", to: alice)])
    }

    @Test func revocationTakesTheLeaseThatItNames() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob, limit: .shared)
        let second = table.revoke("db", by: alice, token: 2)
        #expect(second == [.lost("db", of: bob, token: 2, revokedBy: alice), .revoked("db", to: alice, token: 2)])
        let first = table.revoke("db", by: bob)
        #expect(first == [.lost("db", of: alice, token: 1, revokedBy: bob), .revoked("db", to: bob, token: 1)])
    }

    @Test func endedSessionLeavesTheOtherHolders() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob, limit: .shared)
        table.disconnect(alice)
        let busy = Effect.busy("db", to: carol, holder: bob)
        #expect(table.acquire("db", by: carol, wait: .none) == [busy])
        #expect(table.leaseCount == 1)
    }

    @Test func manyAreGrantedInSeveralTurnsAndInOrder() {
        let table = TableFixture { $0.grantsPerTurn = 2 }
        table.acquire("db", by: alice)
        let waiting = (1...5).map { bob.tagged(Tag($0)) }
        for id in waiting { table.acquire("db", by: id, wait: .after(.seconds(10)), limit: .shared) }
        let effects = table.release("db", by: alice)
        #expect(
            effects.dropFirst() == [.granted("db", to: waiting[0], token: 2), .granted("db", to: waiting[1], token: 3)]
        )
        #expect(table.nextDeadline() == .seconds(0))

        // They were free to go on in time, so it does not matter that their waits are over now.
        table.moveClock(.seconds(20))
        #expect(
            table.passTime() == [.granted("db", to: waiting[2], token: 4), .granted("db", to: waiting[3], token: 5)]
        )
        // Whoever asks meanwhile sees the last one granted first.
        let effect = table.acquire("db", by: carol, wait: .none)
        #expect(effect.first == .granted("db", to: waiting[4], token: 6))
        #expect(table.nextDeadline() == nil)
    }

    @Test func whoIsToBeGrantedInALaterTurnCanStillCancel() {
        let table = TableFixture { $0.grantsPerTurn = 1 }
        table.acquire("db", by: alice)
        for tag in [1, 2, 3] as [UInt64] { table.acquire("db", by: bob.tagged(Tag(tag)), limit: .shared) }
        table.release("db", by: alice)
        // The cancellation settles the name first, one grant of it.
        #expect(
            table.cancel("3", by: bob) == [
                .granted("db", to: bob.tagged("2"), token: 3), .cancelled("db", to: bob.tagged("3")),
                .waitCancelled("3", to: bob),
            ]
        )
        #expect(table.nextDeadline() == nil)
    }

    @Test func leaseThatIsOverCannotBeRenewedWhileOthersAreToBeGrantedInLaterTurns() {
        let table = TableFixture { $0.grantsPerTurn = 1 }
        table.acquire("db", by: alice)
        for tag in 1...4 as ClosedRange<UInt64> {
            table.acquire("db", by: bob.tagged(Tag(tag)), limit: .shared, ttl: .seconds(1))
        }
        table.release("db", by: alice)
        table.moveClock(.seconds(2))
        #expect(table.renew("db", by: bob, token: 2).last == .notHeld("db", to: bob))
    }

    @Test func revocationTakesAnotherLeaseThanOneThatIsOver() {
        let table = TableFixture { $0.grantsPerTurn = 2 }
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"), limit: .shared, ttl: .seconds(1))
        for tag in ["2", "3", "4", "5", "6", "7"] as [Tag] { table.acquire("db", by: bob.tagged(tag), limit: .shared) }
        table.release("db", by: alice)
        table.moveClock(.seconds(2))
        #expect(table.revoke("db", by: alice).last == .revoked("db", to: alice, token: 3))
        #expect(table.passTime().contains(.granted("db", to: bob.tagged("5"), token: 6)))
        #expect((table.passTime() + table.passTime()).contains(.expired("db", of: bob, token: 2)))
    }
}

/// Requests that queue only if not too many do.
@Suite struct QueueLimitTests {
    @Test func requestQueuesIfFewerWait() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.acquire("db", by: bob.tagged("1"), maxQueue: 1) == [])
        let busy = Effect.busy("db", to: bob.tagged("2"), holder: alice, waiters: 1)
        #expect(table.acquire("db", by: bob.tagged("2"), maxQueue: 1) == [busy])
        #expect(table.acquire("db", by: bob.tagged("3"), maxQueue: 2) == [])
    }

    @Test func noQueueAtAllIsATry() {
        let table = TableFixture()
        #expect(table.acquire("db", by: alice, maxQueue: 0) == [.granted("db", to: alice, token: 1)])
        #expect(table.acquire("db", by: bob, maxQueue: 0) == [.busy("db", to: bob, holder: alice)])
    }

    @Test func ownerThatHoldsIsAnsweredHeldAllTheSame() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(table.acquire("db", by: alice, maxQueue: 0) == [.held("db", by: alice, token: 1)])
    }
}

/// Many holders of one name whose sessions end together.
@Suite struct ManyEndingsTests {
    @Test func eachEndsOnceAndWhoWaitsIsGranted() {
        var limits = Limits()
        limits.endingsPerTurn = 3
        limits.waitersPerSession = 3
        var table = LockTable(limits: limits, firstToken: 1, reservedThrough: 100_000)
        let now = MonotonicInstant(nanoseconds: 0)
        let readers = (1...2000).map { SessionID($0) }
        let writer = SessionID(5000)
        for id in readers + [writer] { _ = table.apply(.sessionOpened(id, user: .root), at: now) }
        for id in readers {
            _ = table.apply(
                .acquireRequested(AcquireRequest(RequestID(id), LockNames(stringLiteral: "own/\(id)"))),
                at: now
            )
            _ = table.apply(.acquireRequested(AcquireRequest(RequestID(id), "db", holderLimit: .shared)), at: now)
        }
        for id in readers {
            _ = table.apply(.inputEnded(id), at: now)
            _ = table.apply(.sessionEnded(id), at: now)
        }
        // All of them are in the way, and all have ended by now.
        let effects = table.apply(.acquireRequested(AcquireRequest(RequestID(writer), "db")), at: now)
        #expect(effects.map(\.withoutPredecessor) == [.granted("db", to: RequestID(writer), token: 4001)])
        table.checkInvariants()
        while let deadline = table.nextDeadline, deadline <= now { _ = table.apply(.timePassed, at: now) }
        #expect(table.leaseCount == 1)
        #expect(table.totals.ended == 4000)
        table.checkInvariants()
    }
}
