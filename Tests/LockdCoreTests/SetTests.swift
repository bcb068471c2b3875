import LockdCore
import LockdModel
import Testing

/// One lease on several names.
@Suite struct SetTests {
    @Test func freeNamesAreGrantedAtOnceWithOneToken() {
        let table = TableFixture()
        #expect(table.acquire("a b c", by: alice) == [.granted("a b c", to: alice, token: 1)])
        #expect(table.leaseCount == 1)
        #expect(table.lockCount == 3)
        #expect(table.totals.granted == 1)
        #expect(table.acquire("d", by: bob) == [.granted("d", to: bob, token: 2)])
    }

    @Test(arguments: ["a", "b", "c"] as [LockNames])
    func requestWaitsForWhicheverNameIsHeld(_ held: LockNames) {
        let table = TableFixture()
        table.acquire(held, by: bob)
        #expect(table.acquire("a b c", by: alice) == [])
        #expect(table.waiterCount == 1)
        #expect(
            table.release(held.first, by: bob)
                == [.released(held, to: bob, token: 1), .granted("a b c", to: alice, token: 2)]
        )
        #expect(table.waiterCount == 0)
    }

    @Test func requestWaitsUntilTheLastOfItsNamesIsFree() {
        let table = TableFixture()
        for (name, id) in [("a", alice), ("b", bob), ("c", alice)] as [(LockNames, RequestID)] {
            table.acquire(name, by: id)
        }
        table.acquire("a b c", by: carol)
        #expect(table.release("b", by: bob) == [.released("b", to: bob, token: 2)])
        #expect(table.release("a", by: alice) == [.released("a", to: alice, token: 1)])
        #expect(
            table.release("c", by: alice)
                == [.released("c", to: alice, token: 3), .granted("a b c", to: carol, token: 4)]
        )
    }

    @Test func freeNameIdlesBehindARequestThatWaitsForAnother() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("a b", by: bob)
        #expect(table.acquire("b", by: carol) == [])
        #expect(
            table.acquire("b", by: carol.tagged("t"), wait: .none)
                == [.sendBusy(carol.tagged("t"), "b", holder: nil, waiterCount: 2)]
        )
        #expect(
            table.release("a", by: alice)
                == [.released("a", to: alice, token: 1), .granted("a b", to: bob, token: 2)]
        )
        #expect(
            table.release("b", by: bob)
                == [.released("a b", to: bob, token: 2), .granted("b", to: carol, token: 3)]
        )
    }

    @Test func requestsThatOverlapAreGrantedInTheirOrder() {
        let table = TableFixture()
        table.acquire("b", by: alice)
        let requests: [(LockNames, RequestID)] = [
            ("a b", alice.tagged("1")), ("b c", bob.tagged("2")), ("c d", carol.tagged("3")), ("d a", bob.tagged("4")),
        ]
        for (names, id) in requests { #expect(table.acquire(names, by: id) == []) }
        var (token, granted) = (2 as UInt64, [] as [LockNames])
        var effects = table.release("b", by: alice)
        while case .sendGranted(let id, let names, FencingToken(token), _, _) = effects.last, granted.count < 4 {
            granted.append(names)
            effects = table.release(names.first, by: id)
            token += 1
        }
        #expect(granted == requests.map(\.0))
    }

    @Test func releaseGrantsEverybodyWhoseNamesAreFreeThen() {
        let table = TableFixture()
        table.acquire("a b c", by: alice)
        table.acquire("c", by: bob.tagged("1"))
        table.acquire("a x", by: bob.tagged("2"))
        table.acquire("b x", by: bob.tagged("3"))
        table.acquire("x", by: carol)
        #expect(
            table.release("b", by: alice) == [
                .released("a b c", to: alice, token: 1), .granted("a x", to: bob.tagged("2"), token: 2),
                .granted("c", to: bob.tagged("1"), token: 3),
            ]
        )
        #expect(
            table.release("x", by: bob) == [
                .released("a x", to: bob, token: 2), .granted("b x", to: bob.tagged("3"), token: 4),
            ]
        )
    }

    /// One grant makes room for another one that has nothing to do with the name that was released.
    @Test func grantLetsInWhoWaitsForTheOtherNames() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("a b", by: bob.tagged("1"), limit: .shared)
        table.acquire("b c", by: bob.tagged("2"), limit: .shared)
        table.acquire("c", by: carol, limit: .shared)
        #expect(
            table.release("a", by: alice) == [
                .released("a", to: alice, token: 1), .granted("a b", to: bob.tagged("1"), token: 2),
                .granted("b c", to: bob.tagged("2"), token: 3), .granted("c", to: carol, token: 4),
            ]
        )
    }

    @Test(arguments: ["a", "b", "c"] as [LockName])
    func anyOfItsNamesMeansTheWholeLease(_ name: LockName) {
        let table = TableFixture()
        table.acquire("a b c", by: alice, ttl: .seconds(10))
        #expect(
            table.renew(name, by: alice, ttl: .seconds(20))
                == [.renewed("a b c", to: alice, token: 1, ttl: .seconds(20))]
        )
        #expect(table.nextDeadline() == .seconds(20))
        #expect(table.release(name, by: alice, token: 7) == [.notHeld(name, to: alice)])
        #expect(table.release(name, by: bob) == [.notHeld(name, to: bob)])
        #expect(table.release(name, by: alice) == [.released("a b c", to: alice, token: 1)])
        for name in ["a", "b", "c"] as [LockName] {
            #expect(table.release(name, by: alice) == [.notHeld(name, to: alice)])
        }
        #expect(table.nextDeadline() == nil)
        #expect(table.lockCount == 0)
    }

    @Test(arguments: ["a", "b"] as [LockName])
    func revocationTakesTheWholeLease(_ name: LockName) {
        let table = TableFixture()
        table.acquire("a b", by: alice)
        table.acquire("a", by: bob.tagged("1"))
        table.acquire("b", by: bob.tagged("2"))
        #expect(
            table.revoke(name, by: carol) == [.denied("a b", to: carol, token: 1, holder: UserID(1000))]
        )
        #expect(
            table.revoke(name, by: bob) == [
                .lost("a b", of: alice, token: 1, revokedBy: bob), .revoked("a b", to: bob, token: 1),
                .granted("a", to: bob.tagged("1"), token: 2), .granted("b", to: bob.tagged("2"), token: 3),
            ]
        )
    }

    @Test func leaseExpiresOnAllOfItsNamesAndIsLostOnce() {
        let table = TableFixture()
        table.acquire("a b", by: alice, ttl: .seconds(5))
        table.acquire("b", by: bob)
        table.acquire("a", by: carol)
        #expect(
            table.advance(.seconds(5)) == [
                .expired("a b", of: alice, token: 1), .granted("a", to: carol, token: 2),
                .granted("b", to: bob, token: 3),
            ]
        )
        #expect(table.nextDeadline() == nil)
    }

    @Test func leaseThatIsDueEndsBeforeARequestForAnyOfItsNames() {
        for name in ["a", "b"] as [LockNames] {
            let table = TableFixture()
            table.acquire("a b", by: alice, ttl: .seconds(5))
            table.moveClock(.seconds(5))
            #expect(
                table.acquire(name, by: bob)
                    == [.expired("a b", of: alice, token: 1), .granted(name, to: bob, token: 2)]
            )
        }
    }

    @Test func endOfTheSessionEndsTheWholeLease() {
        let table = TableFixture()
        table.acquire("a b", by: alice)
        table.acquire("b c", by: bob)
        table.acquire("a", by: carol)
        table.disconnect(alice)
        #expect(
            table.passTime() == [.granted("a", to: carol, token: 2), .granted("b c", to: bob, token: 3)]
        )
        #expect(table.totals.ended == 1)
        #expect(table.leaseCount == 2)
    }

    @Test func endOfTheSessionEndsItsWaitsForAllNames() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("a b", by: bob)
        table.acquire("b", by: carol)
        #expect(table.endInput(of: bob) == [.cancelled("a b", to: bob), .granted("b", to: carol, token: 2)])
        #expect(table.acquire("a b", by: bob) == [.busy("a b", to: bob, holder: alice)])
    }

    @Test func cancelFreesTheOtherNamesAtOnce() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("a b c", by: bob.tagged("w"))
        table.acquire("b", by: carol.tagged("1"))
        table.acquire("c", by: carol.tagged("2"))
        #expect(
            table.cancel("w", by: bob) == [
                .cancelled("a b c", to: bob.tagged("w")), .granted("b", to: carol.tagged("1"), token: 2),
                .granted("c", to: carol.tagged("2"), token: 3), .waitCancelled("w", to: bob),
            ]
        )
        #expect(table.cancel("w", by: bob) == [.notWaiting("w", to: bob)])
    }

    @Test func timeoutFreesTheOtherNamesAtOnce() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("b a", by: bob, wait: .after(.seconds(3)))
        table.acquire("b", by: carol)
        // What stands in the way is `a`, not the first of the names.
        let timeout = Effect.timedOut("b a", to: bob, waited: .seconds(3), holder: alice, held: .seconds(3))
        #expect(table.advance(.seconds(3)) == [timeout, .granted("b", to: carol, token: 2)])
    }

    @Test func tryOfNamesOfWhichOneIsHeldIsBusyAndLeavesNoTrace() {
        let table = TableFixture()
        table.acquire("b", by: alice)
        table.acquire("b", by: bob)
        table.moveClock(.seconds(2))
        #expect(
            table.acquire("a b", by: carol, wait: .none)
                == [.busy("a b", to: carol, holder: alice, held: .seconds(2), waiters: 1)]
        )
        #expect(table.acquire("a", by: carol) == [.granted("a", to: carol, token: 2)])
    }

    @Test func busySpeaksOfTheFirstNameInTheWay() {
        let table = TableFixture()
        table.acquire("b", by: alice)
        table.acquire("c", by: bob)
        table.acquire("c", by: bob.tagged("1"))
        #expect(table.acquire("a c b", by: carol, wait: .none) == [.busy("a c b", to: carol, holder: bob, waiters: 1)])
        #expect(table.acquire("a b c", by: carol, wait: .none) == [.busy("a b c", to: carol, holder: alice)])
    }

    @Test func queueMayBeFullForAnyOfTheNames() {
        let table = TableFixture()
        table.acquire("a b", by: alice)
        table.acquire("b", by: bob.tagged("1"))
        #expect(table.acquire("a b", by: carol, maxQueue: 1) == [.busy("a b", to: carol, holder: alice)])
        #expect(table.acquire("a", by: carol.tagged("2"), maxQueue: 1) == [])
        #expect(table.acquire("a b", by: carol, maxQueue: 1) == [.busy("a b", to: carol, holder: alice, waiters: 1)])
        #expect(table.acquire("a b", by: carol.tagged("3"), maxQueue: 2) == [])
    }

    @Test func tagOfARequestForSeveralNamesIsInUseUntilItIsAnswered() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("a b", by: bob.tagged("w"))
        #expect(table.acquire("x", by: bob.tagged("w")) == [.refused(bob.tagged("w"), .tagInUse("w"))])
        table.release("a", by: alice)
        #expect(table.acquire("x", by: bob.tagged("w")) == [.granted("x", to: bob.tagged("w"), token: 3)])
    }

    /// The request whose wait is over at the instant at which the lease in its way is.
    @Test func atOneInstantTheLeaseEndsBeforeTheWaitForSeveralNames() {
        let table = TableFixture()
        table.acquire("a", by: alice, ttl: .seconds(3))
        table.acquire("b", by: alice, ttl: .seconds(2))
        table.acquire("b a", by: bob, wait: .after(.seconds(3)))
        #expect(
            table.advance(.seconds(60)) == [
                .expired("b", of: alice, token: 2), .expired("a", of: alice, token: 1),
                .granted("b a", to: bob, token: 3),
            ]
        )
    }

    @Test func lateTableEndsWhatIsDueInItsOrderOverTiedNames() {
        let table = TableFixture()
        table.acquire("a b", by: alice, ttl: .seconds(4))
        table.acquire("c", by: carol, ttl: .seconds(2))
        table.acquire("b c", by: bob, wait: .after(.seconds(3)))
        table.acquire("c", by: carol.tagged("1"))
        table.moveClock(.seconds(10))
        #expect(
            table.inspect("c") == [
                .expired("c", of: carol, token: 2),
                .timedOut("b c", to: bob, waited: .seconds(10), holder: alice, held: .seconds(10)),
                .granted("c", to: carol.tagged("1"), token: 3), .expired("a b", of: alice, token: 1),
            ]
        )
    }
}
