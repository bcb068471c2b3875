import LockdCore
import LockdModel
import Testing

/// Leases that are bound to something else than the session that asked for them.
@Suite struct BindingTests {
    private let table = TableFixture()
    /// The session that a lease of Alice's is, bound to a process of her user.
    private let bound = SessionID(900)

    private func acquire(_ names: LockNames, wait: WaitTimeout = .never, ttl: Milliseconds? = nil) -> [Effect] {
        let peer = Peer(process: 77, user: UserID(1000), command: "backup")
        let holder = BoundHolder(session: bound, peer: peer)
        return table.apply(
            .acquireRequested(AcquireRequest(alice, names, wait: wait, timeToLive: ttl, boundHolder: holder))
        )
    }

    @Test func leaseDoesNotEndWithTheSessionThatAsked() {
        #expect(acquire("a") == [.granted("a", to: alice, token: 1)])
        table.disconnect(alice)
        #expect(table.passTime().isEmpty)
        #expect(table.leaseCount == 1)
    }

    @Test func leaseEndsWithWhatItIsBoundTo() {
        _ = acquire("a b")
        table.acquire("b", by: bob)
        #expect(table.apply(.bindingEnded(bound)).isEmpty)
        #expect(table.passTime() == [.unbind(bound), .granted("b", to: bob, token: 2)])
        #expect(table.abandonments.map(\.process) == [77])
        #expect(table.abandonments.map(\.ending) == [.ended])
    }

    @Test func leaseEndsOnceHoweverOftenThatIsSaid() {
        _ = acquire("a")
        table.apply(.bindingEnded(bound))
        #expect(table.apply(.bindingEnded(bound)).isEmpty)
        #expect(table.passTime() == [.unbind(bound)])
        #expect(table.apply(.bindingEnded(bound)).isEmpty)
        #expect(table.totals.ended == 1)
    }

    @Test func whoIsOfTheUserReleasesByToken() {
        _ = acquire("a")
        #expect(table.release("a", by: alice) == [.notHeld("a", to: alice)])
        #expect(table.release("a", by: carol, token: 1) == [.notHeld("a", to: carol)])
        #expect(table.release("a", by: bob, token: 1) == [.released("a", to: bob, token: 1), .unbind(bound)])
    }

    @Test func rootReleasesByTokenAndTheOverflowUserDoesNot() {
        table.open(dave, user: .overflow)
        let root = RequestID(SessionID(5))
        table.open(root, user: .root)
        _ = acquire("a")
        #expect(table.release("a", by: dave, token: 1) == [.notHeld("a", to: dave)])
        #expect(table.release("a", by: root, token: 1) == [.released("a", to: root, token: 1), .unbind(bound)])
    }

    @Test func whoIsOfTheUserRenewsByToken() {
        _ = acquire("a", ttl: .seconds(5))
        let renewed = table.renew("a", by: bob, token: 1, ttl: .seconds(60))
        #expect(renewed == [.renewed("a", to: bob, token: 1, ttl: .seconds(60))])
        #expect(table.advance(.seconds(5)).isEmpty)
    }

    @Test func expiryIsSaidOfTheSessionThatTheLeaseIs() {
        _ = acquire("a", ttl: .seconds(5))
        let lost = Effect.sendLost(bound, "a", token: 1, reason: .expired)
        #expect(table.advance(.seconds(5)) == [lost, .unbind(bound)])
    }

    @Test func revocationGoesByTheUserOfTheProcess() {
        _ = acquire("a")
        #expect(table.revoke("a", by: carol) == [.denied("a", to: carol, token: 1, holder: UserID(1000))])
        let lost = Effect.sendLost(bound, "a", token: 1, reason: .revoked(by: bob.session, why: nil))
        #expect(table.revoke("a", by: bob) == [lost, .revoked("a", to: bob, token: 1), .unbind(bound)])
    }

    @Test func waitBelongsToTheSessionThatAsks() {
        table.acquire("a", by: bob)
        #expect(acquire("a").isEmpty)
        #expect(table.endInput(of: alice) == [.cancelled("a", to: alice), .unbind(bound)])
    }

    @Test func waitEndsWithWhatItIsToBeBoundTo() {
        table.acquire("a", by: bob)
        table.acquire("b", by: carol)
        #expect(acquire("a b").isEmpty)
        table.acquire("b", by: bob.tagged("1"))
        table.release("b", by: carol)
        #expect(
            table.apply(.bindingEnded(bound)) == [
                .cancelled("a b", to: alice), .unbind(bound), .granted("b", to: bob.tagged("1"), token: 3),
            ]
        )
    }

    @Test func waitThatIsGrantedByWhatIsDueEndsAsALease() {
        table.acquire("a", by: bob, ttl: .seconds(1))
        _ = acquire("a")
        table.moveClock(.seconds(1))
        let effects = table.apply(.bindingEnded(bound))
        #expect(effects == [.expired("a", of: bob, token: 1), .granted("a", to: alice, token: 2)])
        #expect(table.passTime() == [.unbind(bound)])
        #expect(table.leaseCount == 0)
    }

    @Test func requestThatIsNotTakenInIsUnboundAtOnce() {
        table.acquire("a", by: bob)
        #expect(acquire("a", wait: .none) == [.busy("a", to: alice, holder: bob), .unbind(bound)])
    }

    @Test func waitThatRunsOutIsUnbound() {
        table.acquire("a", by: bob)
        _ = acquire("a", wait: .after(.seconds(1)))
        let timedOut = Effect.timedOut("a", to: alice, waited: .seconds(1), holder: bob, held: .seconds(1))
        #expect(table.advance(.seconds(1)) == [timedOut, .unbind(bound)])
    }

    @Test func boundLeaseHasNoOwner() {
        _ = acquire("a")
        #expect(table.acquire("a", by: alice).isEmpty)
        #expect(table.waiterCount == 1)
    }

    @Test func boundLeaseIsListedWithItsOwnSession() {
        _ = acquire("a")
        guard case .lease(let line) = table.show("a").first else {
            Issue.record("no lease is listed")
            return
        }
        #expect(line.session == bound)
    }
}
