import LockdCore
import LockdModel
import Testing

/// The auditor objects to what must not come of sessions that are detached or resumed, nor while grants are suspended.
@Suite struct RestartAuditorTests {
    private static let waiting = alice.tagged("w")
    private static let request = AcquireRequest(waiting, "db")

    /// What the auditor says to a false effect of the last event, all that came before being true.
    private func complaint(about effects: [Effect], leases: Int, of last: Event, after events: [Event]) -> String? {
        var table = LockTable(limits: Limits(), firstToken: 1, reservedThrough: 100)
        var auditor = Auditor(of: table, reservedThrough: 100)
        let now = MonotonicInstant(nanoseconds: 1_000_000_000)
        let opened = [alice, bob].map { Event.sessionOpened($0.session, user: UserID(1000)) }
        do {
            for event in opened + events {
                try auditor.observe(event, at: now, table.apply(event, at: now), leaseCount: table.leaseCount)
            }
            var honest = (auditor, table)
            try honest.0.observe(last, at: now, honest.1.apply(last, at: now), leaseCount: honest.1.leaseCount)
            try honest.0.observe(nextDeadline: honest.1.nextDeadline)
        } catch {
            Issue.record("the truth is not believed: \(error)")
        }
        do {
            try auditor.observe(last, at: now, effects, leaseCount: leases)
            try auditor.observe(nextDeadline: nil)
        } catch {
            return error.description
        }
        return nil
    }

    @Test func detachedSessionIsGrantedNothing() {
        let events: [Event] = [
            .acquireRequested(AcquireRequest(bob, "db")), .acquireRequested(Self.request),
            .sessionDetached(alice.session),
        ]
        let release = Event.releaseRequested(bob, "db", token: nil)
        let released = Effect.released("db", to: bob, token: 1)
        let granted = Effect.granted("db", to: Self.waiting, token: 2)
        #expect(
            complaint(about: [released, granted], leases: 1, of: release, after: events)?.contains("no connection")
                == true
        )
        let cancelled = Effect.cancelled("db", to: Self.waiting)
        #expect(
            complaint(about: [released, cancelled], leases: 0, of: release, after: events)?.contains("by nobody")
                == true
        )
        // It is waited for, but no longer than that.
        #expect(complaint(about: [released], leases: 0, of: release, after: events)?.contains("next deadline") == true)
    }

    @Test func whoIsBackIsGrantedWhatItWaitsFor() {
        let events: [Event] = [
            .acquireRequested(AcquireRequest(bob, "db")), .acquireRequested(Self.request),
            .sessionDetached(alice.session), .releaseRequested(bob, "db", token: nil),
        ]
        let attach = Event.sessionAttached(alice.session)
        #expect(complaint(about: [], leases: 0, of: attach, after: events)?.contains("forgotten") == true)
    }

    @Test func nothingIsGrantedWhileGrantsAreSuspended() {
        let events = [Event.grantsSuspended(until: MonotonicInstant(nanoseconds: 9_000_000_000))]
        let acquire = Event.acquireRequested(Self.request)
        let granted = Effect.granted("db", to: Self.waiting, token: 1)
        #expect(
            complaint(about: [granted], leases: 1, of: acquire, after: events)?.contains("while nothing is") == true
        )
        #expect(complaint(about: [], leases: 0, of: acquire, after: events)?.contains("next deadline") == true)
    }

    @Test func leaseThatIsAskedForAgainIsTheSame() {
        let events: [Event] = [.acquireRequested(Self.request), .sessionAttached(alice.session)]
        let acquire = Event.acquireRequested(Self.request)
        for (effects, leases, words) in [
            ([.granted("db", to: Self.waiting, token: 2)], 2, "hold"),
            ([], 1, "was granted before"),
            ([.busy("db", to: Self.waiting, holder: alice)], 1, "the request can wait"),
            ([.granted("db", to: Self.waiting, token: 1, ttl: .seconds(1))], 1, "another ttl"),
        ] as [([Effect], Int, String)] {
            let said = complaint(about: effects, leases: leases, of: acquire, after: events)
            #expect(said?.contains(words) == true, "\(said ?? "nothing")")
        }
    }

    @Test func leaseIsNotSaidAgainToWhoWasNotResumed() {
        let granted = Effect.granted("db", to: Self.waiting, token: 1)
        let acquire = Event.acquireRequested(Self.request)
        let said = complaint(about: [granted], leases: 1, of: acquire, after: [acquire])
        #expect(said?.contains("but it was not") == true)
    }

    @Test func requestThatWaitsIsNotAnsweredTwice() {
        let events: [Event] = [
            .acquireRequested(AcquireRequest(bob, "db")), .acquireRequested(Self.request),
            .sessionAttached(alice.session),
        ]
        let refused = Effect.refused(Self.waiting, .tagInUse("w"))
        let said = complaint(about: [refused], leases: 1, of: .acquireRequested(Self.request), after: events)
        #expect(said?.contains("refused") == true)
    }
}
