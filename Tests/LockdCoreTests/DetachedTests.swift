import LockdModel
import Testing

@testable import LockdCore

/// Sessions that have no connection for a while.
@Suite struct DetachedTests {
    private static let waiting = alice.tagged("w")

    /// Bob holds `db`; Alice, who is detached, and Carol wait for it, in that order.
    private func queue(
        _ names: LockNames = "db",
        wait: WaitTimeout = .never,
        ttl: Milliseconds? = nil,
        _ changeLimits: (inout Limits) -> Void = { _ in }
    ) -> TableFixture {
        let table = TableFixture(changeLimits)
        table.acquire(names, by: bob, ttl: ttl)
        table.acquire(names, by: Self.waiting, wait: wait)
        table.acquire(names, by: carol)
        #expect(table.detach(alice) == [])
        return table
    }

    @Test func leasesStayAndAreListedWithHowLongThatHasBeen() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.detach(alice)
        table.advance(.seconds(100))
        guard case .lease(let line)? = table.show("db").first else {
            Issue.record("no lease")
            return
        }
        #expect(line.session == alice.session && line.detached == .seconds(100))
        #expect(table.detachedSessionCount == 1)
        table.attach(alice)
        guard case .lease(let same)? = table.show("db").first else {
            Issue.record("no lease")
            return
        }
        #expect(same.detached == nil && same.token == line.token)
        #expect(table.detachedSessionCount == 0)
    }

    @Test func leaseOfADetachedSessionExpiresAndIsRevokedAsAlways() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(5))
        table.acquire("mail", by: alice)
        table.detach(alice)
        #expect(table.advance(.seconds(5)) == [.expired("db", of: alice, token: 1)])
        #expect(
            table.revoke("mail", by: bob) == [
                .lost("mail", of: alice, token: 2, revokedBy: bob), .revoked("mail", to: bob, token: 2),
            ]
        )
    }

    @Test func whoLosesAConnectionTwiceHasLostItTheFirstTime() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.detach(alice)
        table.advance(.seconds(1))
        table.detach(alice)
        guard case .lease(let line)? = table.show("db").first else {
            Issue.record("no lease")
            return
        }
        #expect(line.detached == .seconds(1))
    }

    @Test func waitKeepsItsPlaceUntilItIsItsTurn() {
        let table = queue()
        #expect(table.nextDeadline() == nil)
        table.advance(.seconds(1000))
        #expect(table.attach(alice) == [])
        #expect(
            table.release("db", by: bob) == [
                .released("db", to: bob, token: 1), .granted("db", to: Self.waiting, token: 2),
            ]
        )
    }

    @Test func whoseTurnItIsIsWaitedForAndThenCancelled() {
        let table = queue()
        table.advance(.seconds(3))
        #expect(table.release("db", by: bob) == [.released("db", to: bob, token: 1)])
        #expect(table.nextDeadline() == .seconds(10))
        #expect(table.advance(Milliseconds(9999)) == [])
        #expect(
            table.advance(Milliseconds(1)) == [
                .cancelled("db", to: Self.waiting, waited: .seconds(13)), .granted("db", to: carol, token: 2),
            ]
        )
        #expect(table.attach(alice) == [])
    }

    @Test func whoComesBackInTimeIsGranted() {
        let table = queue(wait: .after(.seconds(100)))
        table.release("db", by: bob)
        table.advance(Milliseconds(9999))
        #expect(table.attach(alice) == [.granted("db", to: Self.waiting, token: 2)])
        #expect(table.nextDeadline() == nil)
    }

    @Test func whoComesBackAtTheLastInstantComesTooLate() {
        let table = queue()
        table.release("db", by: bob)
        table.moveClock(.seconds(10))
        #expect(
            table.attach(alice) == [
                .cancelled("db", to: Self.waiting, waited: .seconds(10)), .granted("db", to: carol, token: 2),
            ]
        )
    }

    @Test(arguments: [5, 10] as [Int64]) func waitThatRunsOutWhileItIsWaitedForHasRunOut(_ seconds: Int64) {
        let table = queue(wait: .after(.seconds(seconds)))
        table.release("db", by: bob)
        #expect(table.nextDeadline() == .seconds(seconds))
        let timeout = Effect.sendTimedOut(
            Self.waiting,
            "db",
            waited: .seconds(seconds),
            holder: nil,
            waiterCount: 1
        )
        #expect(table.advance(.seconds(seconds)) == [timeout, .granted("db", to: carol, token: 2)])
    }

    @Test func turnCountsFromWhenItCameHoweverLateTheTableHearsOfIt() {
        let table = queue(ttl: .seconds(5))
        #expect(table.advance(.seconds(14)) == [.expired("db", of: bob, token: 1)])
        #expect(table.nextDeadline() == .seconds(1))
        let late = queue(ttl: .seconds(5))
        #expect(
            late.advance(.seconds(15)) == [
                .expired("db", of: bob, token: 1), .cancelled("db", to: Self.waiting, waited: .seconds(15)),
                .granted("db", to: carol, token: 2),
            ]
        )
    }

    @Test func turnThatHasComeIsNotCountedAnewByWhatElseEnds() {
        let table = TableFixture()
        table.acquire("db", by: bob, limit: HolderLimit(3))
        table.acquire("db", by: carol, limit: HolderLimit(3))
        table.acquire("db", by: Self.waiting, limit: HolderLimit(2))
        table.detach(alice)
        table.release("db", by: bob)
        table.advance(.seconds(4))
        table.release("db", by: carol)
        #expect(table.nextDeadline() == .seconds(6))
        #expect(table.advance(.seconds(6)) == [.cancelled("db", to: Self.waiting, waited: .seconds(10))])
    }

    @Test func sharedRequestsBehindADetachedOneWaitMeanwhile() {
        let table = queue()
        table.acquire("db", by: bob.tagged("1"), limit: .shared)
        table.acquire("db", by: bob.tagged("2"), limit: .shared)
        table.cancelCarol()
        #expect(table.release("db", by: bob) == [.released("db", to: bob, token: 1)])
        #expect(table.acquire("db", by: bob, wait: .none) == [.sendBusy(bob, "db", holder: nil, waiterCount: 3)])
        #expect(
            table.advance(.seconds(10)) == [
                .cancelled("db", to: Self.waiting, waited: .seconds(10)), .granted("db", to: bob.tagged("1"), token: 2),
                .granted("db", to: bob.tagged("2"), token: 3),
            ]
        )
    }

    @Test func requestForSeveralNamesHoldsUpAllOfThem() {
        let table = queue("db mail")
        table.acquire("mail", by: bob.tagged("m"))
        table.cancelCarol()
        table.release("db", by: bob)
        #expect(table.nextDeadline() == .seconds(10))
        #expect(
            table.advance(.seconds(10)) == [
                .cancelled("db mail", to: Self.waiting, waited: .seconds(10)),
                .granted("mail", to: bob.tagged("m"), token: 2),
            ]
        )
    }

    @Test func partOfWhatARequestWaitsForIsNotItsTurn() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.acquire("mail", by: carol)
        table.acquire("db mail", by: Self.waiting)
        table.detach(alice)
        table.release("db", by: bob)
        #expect(table.nextDeadline() == nil)
        table.release("mail", by: carol)
        #expect(table.nextDeadline() == .seconds(10))
        #expect(table.attach(alice) == [.granted("db mail", to: Self.waiting, token: 3)])
    }

    @Test func nobodyIsWaitedForWhoseSessionEnds() {
        let table = queue()
        table.release("db", by: bob)
        table.advance(.seconds(4))
        #expect(
            table.endInput(of: alice) == [
                .cancelled("db", to: Self.waiting, waited: .seconds(4)), .granted("db", to: carol, token: 2),
            ]
        )
        #expect(table.apply(.sessionEnded(alice.session)) == [])
        #expect(table.nextDeadline() == nil && table.detachedSessionCount == 0)
    }

    @Test func leasesOfADetachedSessionEndWithIt() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.detach(alice)
        table.disconnect(alice)
        #expect(table.detachedSessionCount == 0)
        #expect(table.passTime() == [.granted("db", to: bob, token: 2)])
    }

    @Test func waitOfADetachedSessionCanBeCancelledAsAlways() {
        let table = queue()
        table.release("db", by: bob)
        #expect(
            table.cancel("w", by: alice) == [
                .cancelled("db", to: Self.waiting), .granted("db", to: carol, token: 2), .waitCancelled("w", to: alice),
            ]
        )
        #expect(table.nextDeadline() == nil)
    }

    @Test func thoseWhoWatchSeeAWaitThatIsCancelled() {
        let fixture = queue()
        fixture.release("db", by: bob)
        fixture.moveClock(.seconds(10))
        var table = fixture.table
        table.isObserved = true
        let effects = table.apply(.timePassed, at: fixture.now)
        guard case .observe(let observation)? = effects.dropFirst().first else {
            Issue.record("nothing was observed")
            return
        }
        #expect(observation.session == alice.session)
        #expect(observation.happening == .unqueued(waited: .seconds(10), .cancelled))
    }

    @Test func whatIsToBeBoundIsHeldBackAsLongAsItIsTheSessions() {
        let holder = BoundHolder(session: SessionID(9), peer: Peer(process: 7, user: UserID(1000)))
        for comesBack in [true, false] {
            let table = TableFixture()
            table.acquire("db", by: bob)
            table.apply(.acquireRequested(AcquireRequest(Self.waiting, "db", boundHolder: holder)))
            table.detach(alice)
            table.release("db", by: bob)
            if comesBack {
                #expect(table.attach(alice) == [.granted("db", to: Self.waiting, token: 2)])
                // It is another session by now.
                table.detach(alice)
                table.detach(RequestID(SessionID(9)))
                #expect(table.detachedSessionCount == 2)
                #expect(
                    table.release("db", by: bob, token: 2) == [
                        .released("db", to: bob, token: 2), .unbind(SessionID(9)),
                    ]
                )
                #expect(table.detachedSessionCount == 1)
            } else {
                let cancelled = Effect.cancelled("db", to: Self.waiting, waited: .seconds(10))
                #expect(table.advance(.seconds(10)) == [cancelled, .unbind(SessionID(9))])
            }
        }
    }

    @Test func detachedSessionIsToldAnewHowItsWaitsGoOnceItIsBack() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.apply(.acquireRequested(AcquireRequest(Self.waiting, "db", progress: .seconds(1))))
        table.apply(.acquireRequested(AcquireRequest(carol, "db", progress: .seconds(1))))
        table.detach(alice)
        table.release("db", by: bob)
        table.advance(.seconds(1))
        // Carol is told that nobody holds the name.
        let queueing = Queueing(position: 2, holder: nil, waiterCount: 2)
        #expect(table.apply(.progressDue) == [.sendQueued(carol, "db", queueing)])
        #expect(table.nextProgress == nil)
    }

    @Test func whoIsBackIsToldAnewOfEachWait() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.apply(.acquireRequested(AcquireRequest(Self.waiting, "db", progress: .seconds(100))))
        table.detach(alice)
        table.advance(.seconds(1))
        #expect(table.nextProgress == nil)
        table.attach(alice)
        #expect(table.nextProgress == table.now)
        #expect(table.apply(.progressDue).count == 1)
    }

    @Test func detachedOwnerWaitsAsFarAsDeadlocksAreConcerned() {
        let table = TableFixture()
        table.acquire("a", by: alice.tagged("1"), owner: "x")
        table.acquire("b", by: bob.tagged("1"), owner: "y")
        table.acquire("b", by: alice.tagged("2"), owner: "x")
        table.detach(alice)
        let effects = table.acquire("a", by: bob.tagged("2"), owner: "y")
        #expect(effects.map(\.withoutEdges) == [.sendDeadlock(bob.tagged("2"), "a", [])])
    }

    @Test func whoIsWaitedForCountsAsALeaseToCome() {
        let table = queue { $0.leases = 2 }
        // It is known from then on, so that it can be granted at once.
        table.acquire("mail", by: bob)
        table.release("mail", by: bob)
        table.acquire("news", by: bob)
        table.release("db", by: bob)
        #expect(table.leaseCount == 1)
        #expect(table.acquire("mail", by: bob) == [.refused(bob, .tooManyLeases(limit: 2))])
        var other = table.table
        #expect(other.effectAtOnce(of: .acquireRequested(AcquireRequest(bob, "mail")), at: table.now) == nil)
        #expect(table.attach(alice) == [.granted("db", to: Self.waiting, token: 4)])
    }

    @Test func whatWasPutOffBeforeTheConnectionWasLostIsGrantedAllTheSame() {
        let table = TableFixture {
            $0.grantsPerTurn = 1
            $0.endingsPerTurn = 1
            $0.waitersPerSession = 1
        }
        table.acquire("a b", by: bob)
        table.acquire("a", by: carol)
        table.acquire("b", by: alice)
        // Carol is granted, and Alice is to be.
        #expect(table.release("a", by: bob).count == 2)
        #expect(table.detach(alice) == [.granted("b", to: alice, token: 3)])
    }
}

extension TableFixture {
    @discardableResult
    func detach(_ id: RequestID) -> [Effect] { apply(.sessionDetached(id.session)) }

    @discardableResult
    func attach(_ id: RequestID) -> [Effect] { apply(.sessionAttached(id.session)) }

    /// Ends Carol's waits, so that those behind her are next.
    fileprivate func cancelCarol() { endInput(of: carol) }
}
