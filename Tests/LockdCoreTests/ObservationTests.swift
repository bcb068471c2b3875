import LockdModel
import Testing

@testable import LockdCore

/// Those who watch are told what happens, in the order in which it does.
@Suite struct ObservationTests {
    /// A table that is watched, and what it has told.
    private struct Watched {
        var table: LockTable
        var now = MonotonicInstant(nanoseconds: 0)

        init(_ changeLimits: (inout Limits) -> Void = { _ in }) {
            var limits = Limits()
            changeLimits(&limits)
            table = LockTable(limits: limits, firstToken: 1, reservedThrough: 1_000_000)
            table.isObserved = true
            for id in [alice, bob] { apply(.sessionOpened(id.session, user: UserID(1000))) }
        }

        @discardableResult
        mutating func apply(_ event: Event) -> [Effect] { table.apply(event, at: now) }

        /// What was told of the event to those who watch.
        mutating func observe(_ event: Event) -> [Observation] {
            apply(event).compactMap { if case .observe(let observation) = $0 { observation } else { nil } }
        }

        mutating func acquire(
            _ names: LockNames,
            by id: RequestID,
            wait: WaitTimeout = .never,
            ttl: Milliseconds? = nil,
            note: Text? = nil
        ) -> [Observation] {
            observe(.acquireRequested(AcquireRequest(id, names, wait: wait, timeToLive: ttl, note: note)))
        }
    }

    private func observation(_ id: RequestID, _ happening: Observation.Happening) -> Observation {
        observation(id, on: "db", happening)
    }

    private func observation(
        _ id: RequestID,
        on names: LockNames,
        _ happening: Observation.Happening
    ) -> Observation {
        let process = ProcessID(Int32(id.session.value))
        let peer = Peer(process: process, user: UserID(1000), command: "worker")
        return Observation(names: names, session: id.session, peer: peer, happening: happening)
    }

    @Test func releaseIsToldBeforeTheGrantThatFollows() {
        var watched = Watched()
        #expect(
            watched.acquire("db", by: alice, note: "first")
                == [observation(alice, .granted(token: 1, waited: .seconds(0), note: "first"))]
        )
        #expect(watched.acquire("db", by: bob) == [observation(bob, .queued(position: 1, note: nil))])
        watched.now = watched.now + .seconds(2)
        #expect(
            watched.observe(.releaseRequested(alice, "db", token: nil)) == [
                observation(alice, .over(.released, token: 1, held: .seconds(2), note: "first")),
                observation(bob, .granted(token: 2, waited: .seconds(2), note: nil)),
            ]
        )
    }

    @Test func wordOfTheLossComesFirst() {
        var watched = Watched()
        _ = watched.acquire("db", by: alice, ttl: .seconds(1))
        _ = watched.acquire("db", by: bob)
        watched.now = watched.now + .seconds(3)
        let effects = watched.apply(.timePassed)
        #expect(effects.count == 4)
        #expect(effects.first == .expired("db", of: alice, token: 1))
        #expect(
            effects.dropFirst().first
                == .observe(observation(alice, .over(.expired, token: 1, held: .seconds(1), note: nil)))
        )
    }

    @Test func endOfASessionIsToldThoughNobodyIsAnswered() {
        var watched = Watched()
        _ = watched.acquire("db", by: alice, note: "mine")
        watched.apply(.inputEnded(alice.session))
        watched.apply(.sessionEnded(alice.session))
        watched.now = watched.now + .seconds(5)
        // It ended when the session did.
        #expect(
            watched.observe(.timePassed)
                == [observation(alice, .over(.ended, token: 1, held: .seconds(0), note: "mine"))]
        )
    }

    @Test func waitsThatEndWithoutALease() {
        var watched = Watched()
        _ = watched.acquire("db", by: alice)
        _ = watched.acquire("db", by: bob.tagged("t"), wait: .after(.seconds(1)))
        _ = watched.acquire("db", by: bob.tagged("c"))
        watched.now = watched.now + .seconds(1)
        #expect(
            watched.observe(.timePassed) == [observation(bob, .unqueued(waited: .seconds(1), .timeout))]
        )
        #expect(
            watched.observe(.cancelRequested(bob, tag: "c"))
                == [observation(bob, .unqueued(waited: .seconds(1), .cancelled))]
        )
    }

    @Test func severalNamesAreOneObservation() {
        var watched = Watched()
        _ = watched.acquire("b", by: alice)
        // It stands first for "a", and second for "b" behind nobody: its place is that where it has to wait.
        #expect(watched.acquire("a b", by: bob) == [observation(bob, on: "a b", .queued(position: 1, note: nil))])
        let behind = watched.acquire("b", by: alice.tagged("2"))
        #expect(behind == [observation(alice, on: "b", .queued(position: 2, note: nil))])
        let observations = watched.observe(.releaseRequested(alice, "b", token: nil))
        #expect(observations.last == observation(bob, on: "a b", .granted(token: 2, waited: .seconds(0), note: nil)))
    }

    @Test func revocationIsTold() {
        var watched = Watched()
        _ = watched.acquire("db", by: alice)
        #expect(
            watched.observe(.revokeRequested(bob, "db", token: nil, reason: "why"))
                == [observation(alice, .over(.revoked, token: 1, held: .seconds(0), note: nil))]
        )
    }

    @Test func refusalsAndFailedTriesAreNotTold() {
        var watched = Watched { $0.leasesPerSession = 1 }
        _ = watched.acquire("db", by: alice)
        #expect(watched.acquire("mail", by: alice).isEmpty)
        #expect(watched.acquire("db", by: bob, wait: .none).isEmpty)
        #expect(watched.acquire("db", by: alice).isEmpty)
    }

    @Test func thereIsNoShortWayWhileSomebodyWatches() {
        var watched = Watched()
        _ = watched.acquire("db", by: alice)
        #expect(watched.table.effectAtOnce(of: .releaseRequested(alice, "db", token: nil), at: watched.now) == nil)
        watched.apply(.releaseRequested(alice, "db", token: nil))
        let event = Event.acquireRequested(AcquireRequest(alice, "db"))
        #expect(watched.table.effectAtOnce(of: event, at: watched.now) == nil)
        watched.table.isObserved = false
        #expect(watched.table.effectAtOnce(of: event, at: watched.now) != nil)
    }

    @Test func nothingIsObservedWhileNobodyWatches() {
        var watched = Watched()
        watched.table.isObserved = false
        #expect(watched.acquire("db", by: alice).isEmpty)
        #expect(watched.acquire("db", by: bob).isEmpty)
        #expect(watched.observe(.releaseRequested(alice, "db", token: nil)).isEmpty)
    }
}
