import LockdCore
import LockdModel
import Testing

/// The auditor of the simulation objects to what it is there to object to.
@Suite struct AuditorTests {
    /// One event and what came of it.
    struct Step {
        var event: Event
        var now: MonotonicInstant
        var effects: [Effect]
        var leaseCount: Int
        var nextDeadline: MonotonicInstant?
    }

    @Test func trueStoriesAreBelieved() throws {
        try audit(Self.story())
    }

    /// Where the story is changed, how, and what the auditor says to it.
    struct Lie: CustomStringConvertible, Sendable {
        var description: String
        var step: String
        var change: @Sendable (inout [Effect]) -> Void
        var complaint: String

        init(
            _ description: String,
            at step: String,
            says complaint: String,
            _ change: @escaping @Sendable (inout [Effect]) -> Void
        ) {
            (self.description, self.step, self.complaint, self.change) = (description, step, complaint, change)
        }
    }

    @Test(arguments: lies)
    func liesAreNotBelieved(_ lie: Lie) throws {
        var story = Self.story()
        let place = try #require(Self.script.firstIndex { $0.name == lie.step })
        lie.change(&story[place].effects)
        let complaint = try #require(throws: Complaint.self) { try audit(story) }
        #expect(complaint.description.contains(lie.complaint))
    }

    @Test(arguments: [nil, MonotonicInstant(nanoseconds: 11_000_000_000), MonotonicInstant(nanoseconds: 9_000_000_000)])
    func wrongDeadlineIsNotBelieved(_ deadline: MonotonicInstant?) throws {
        var story = Self.story()
        let place = try #require(Self.script.firstIndex { $0.name == "carol waits" })
        #expect(story[place].nextDeadline == MonotonicInstant(nanoseconds: 10_000_000_000))
        story[place].nextDeadline = deadline
        let complaint = try #require(throws: Complaint.self) { try audit(story) }
        #expect(complaint.description.contains("the next deadline is"))
    }

    @Test func sessionThatWasNotWorkedOffIsNotForgotten() throws {
        var story = Self.story()
        let place = try #require(Self.script.firstIndex { $0.name == "carol ends" })
        story[place].nextDeadline = nil
        let complaint = try #require(throws: Complaint.self) { try audit(story) }
        #expect(complaint.description.contains("forgotten"))
    }

    @Test func tooManyEndingsInOneTurnAreNotBelieved() throws {
        var limits = Limits()
        (limits.endingsPerTurn, limits.waitersPerSession) = (1, 1)
        let requests = (["a", "b"] as [LockNames]).map { AcquireRequest(alice, $0, timeToLive: .seconds(1)) }
        var (auditor, now) = (auditor(limits), MonotonicInstant(nanoseconds: 0))
        try auditor.observe(.sessionOpened(alice.session, user: .root), at: now, [], leaseCount: 0)
        for (request, token) in zip(requests, [1, 2] as [FencingToken]) {
            let effects = [Effect.granted(request.names, to: alice, token: token, ttl: .seconds(1))]
            try auditor.observe(.acquireRequested(request), at: now, effects, leaseCount: Int(token.value))
        }
        now = now + .seconds(1)
        let complaint = try #require(throws: Complaint.self) {
            let effects = [Effect.expired("a", of: alice, token: 1), .expired("b", of: alice, token: 2)]
            try auditor.observe(.timePassed, at: now, effects, leaseCount: 0)
        }
        #expect(complaint.description.contains("2 endings in one turn"))
    }

    @Test func leftoversAreNotBelieved() throws {
        let story = Self.story()
        var auditor = auditor()
        for step in story { try auditor.observe(step.event, at: step.now, step.effects, leaseCount: step.leaseCount) }
        let complaint = try #require(throws: Complaint.self) { try auditor.observeEnd(of: Self.table()) }
        #expect(complaint.description.contains("got no answer"))
    }

    @Test func listingWithoutAWaiterIsNotBelieved() throws {
        var auditor = auditor()
        var table = Self.table()
        var now = MonotonicInstant(nanoseconds: 0)
        for (_, event, seconds) in Self.script.prefix(6) {
            now = MonotonicInstant(nanoseconds: seconds * 1_000_000_000)
            let effects = table.apply(event, at: now)
            try auditor.observe(event, at: now, effects, leaseCount: table.leaseCount)
        }
        let lines = table.lines(withPrefix: nil, after: nil, lineLimit: 10, at: now).lines
        #expect(lines.count == 3)
        try auditor.observe(listing: lines)
        for listing in [
            Array(lines.dropLast()), Array(lines.dropFirst()), [], lines + [lines[0]], [lines[0], lines[2]],
        ] {
            #expect(throws: Complaint.self) { try auditor.observe(listing: listing) }
        }
    }

    private func audit(_ story: [Step]) throws(Complaint) {
        var auditor = auditor()
        for step in story {
            try auditor.observe(step.event, at: step.now, step.effects, leaseCount: step.leaseCount)
            try auditor.observe(nextDeadline: step.nextDeadline)
        }
    }

    private func auditor(_ limits: Limits = Limits()) -> Auditor {
        Auditor(of: Self.table(limits), reservedThrough: 100)
    }

    private static func table(_ limits: Limits = Limits()) -> LockTable {
        LockTable(limits: limits, firstToken: 1, reservedThrough: 100)
    }

    /// What a real table makes of the script.
    private static func story() -> [Step] {
        var table = table()
        return script.map { _, event, seconds in
            let now = MonotonicInstant(nanoseconds: seconds * 1_000_000_000)
            let effects = table.apply(event, at: now)
            return Step(
                event: event,
                now: now,
                effects: effects,
                leaseCount: table.leaseCount,
                nextDeadline: table.nextDeadline
            )
        }
    }
}

extension AuditorTests {
    /// What happens, and at which second.
    private static let script: [(name: String, event: Event, seconds: Int64)] = [
        ("alice opens", .sessionOpened(alice.session, user: UserID(1000)), 0),
        ("bob opens", .sessionOpened(bob.session, user: UserID(1000)), 0),
        ("carol opens", .sessionOpened(carol.session, user: UserID(1001)), 0),
        ("alice acquires", .acquireRequested(AcquireRequest(alice, "db", timeToLive: .seconds(10))), 0),
        ("bob waits", .acquireRequested(AcquireRequest(bob.tagged("b"), "db", wait: .after(.seconds(10)))), 0),
        ("carol waits", .acquireRequested(AcquireRequest(carol.tagged("c"), "db", wait: .after(.seconds(60)))), 1),
        ("alice asks again", .acquireRequested(AcquireRequest(alice, "db")), 1),
        ("carol tries", .acquireRequested(AcquireRequest(carol, "db", wait: .none)), 2),
        ("carol revokes", .revokeRequested(carol, "db", token: nil, reason: nil), 2),
        ("time passes", .timePassed, 10),
        ("alice is late", .renewRequested(alice, "db", token: nil, timeToLive: nil), 10),
        ("bob renews", .renewRequested(bob, "db", token: nil, timeToLive: .seconds(30)), 11),
        ("alice waits", .acquireRequested(AcquireRequest(alice.tagged("a"), "db")), 12),
        ("alice reuses her tag", .acquireRequested(AcquireRequest(alice.tagged("a"), "db")), 12),
        ("alice cancels", .cancelRequested(alice, tag: "a"), 12),
        ("bob releases", .releaseRequested(bob, "db", token: nil), 13),
        ("alice waits shortly", .acquireRequested(AcquireRequest(alice, "db", wait: .after(.seconds(5)))), 14),
        ("bob waits again", .acquireRequested(AcquireRequest(bob, "db")), 14),
        ("alice times out", .timePassed, 19),
        ("carol drains", .inputEnded(carol.session), 20),
        ("carol ends", .sessionEnded(carol.session), 20),
        ("time passes again", .timePassed, 21),
        ("alice revokes", .revokeRequested(alice, "db", token: nil, reason: "enough"), 22),
        ("alice looks", .nameInspected("db"), 22),
        ("alice acquires anew", .acquireRequested(AcquireRequest(alice, "db", timeToLive: .seconds(1))), 22),
        ("bob comes back", .acquireRequested(AcquireRequest(bob, "db")), 22),
        ("time passes unseen", .nameInspected("db"), 30),
        ("alice waits at last", .acquireRequested(AcquireRequest(alice, "db")), 31),
    ]

    static let lies: [Lie] = [
        Lie("two holders", at: "bob waits", says: "while") { $0 = [.granted("db", to: bob.tagged("b"), token: 2)] },
        Lie("second in the queue first", at: "time passes", says: "overtook") {
            $0[1] = .granted("db", to: carol.tagged("c"), token: 2)
        },
        Lie("waiter forgotten by a release", at: "bob releases", says: "forgotten") { $0.removeLast() },
        Lie("waiter forgotten by time", at: "time passes", says: "forgotten") { $0.removeLast() },
        Lie("waiter forgotten by a look", at: "time passes unseen", says: "forgotten") { $0.removeLast() },
        Lie("nothing done by time", at: "time passes", says: "the next deadline is") { $0 = [] },
        Lie("nothing done by a look", at: "time passes unseen", says: "is over") { $0 = [] },
        Lie("no answer to a release", at: "bob releases", says: "while") { $0.removeFirst() },
        Lie("no answer at all", at: "bob releases", says: "no answer") { $0 = [] },
        Lie("no answer to a renewal", at: "bob renews", says: "no answer") { $0 = [] },
        Lie("no answer to a cancel", at: "alice cancels", says: "no answer") { $0 = [] },
        Lie("no answer to a cancelled wait", at: "alice cancels", says: "that was not") { $0.removeFirst() },
        Lie("no answer to the canceller", at: "alice cancels", says: "no answer") { $0.removeLast() },
        Lie("no answer to the revoker", at: "alice revokes", says: "no answer") { $0.removeLast() },
        Lie("no answer to a try", at: "carol tries", says: "waits that cannot") { $0 = [] },
        Lie("grant in the end of a session", at: "carol ends", says: "nobody is told") {
            $0 = [.granted("db", to: bob, token: 4)]
        },
        Lie("two answers", at: "alice asks again", says: "had its answer") { $0.append($0[0]) },
        Lie("two grants", at: "bob releases", says: "did not ask") { $0.append($0[1]) },
        Lie("two losses", at: "time passes", says: "which is not held so") { $0.insert($0[0], at: 0) },
        Lie("answer to somebody else", at: "bob renews", says: "did not ask") {
            $0 = [.renewed("db", to: alice, token: 2, ttl: .seconds(30))]
        },
        Lie("token used before", at: "time passes", says: "token 1 after 1") {
            $0[1] = .granted("db", to: bob.tagged("b"), token: 1)
        },
        Lie("token not reserved", at: "time passes", says: "token 101 after 1") {
            $0[1] = .granted("db", to: bob.tagged("b"), token: 101)
        },
        Lie("ttl of somebody else", at: "time passes", says: "another ttl") {
            $0[1] = .granted("db", to: bob.tagged("b"), token: 2, ttl: .seconds(1))
        },
        Lie("grant before loss", at: "time passes", says: "while") { $0.reverse() },
        Lie("loss never told", at: "time passes", says: "while") { $0.removeFirst() },
        Lie("loss before time", at: "carol tries", says: "LOST before time") {
            $0 = [.expired("db", of: alice, token: 1)]
        },
        Lie("loss of another lease", at: "time passes", says: "which is not held so") {
            $0[0] = .expired("db", of: alice, token: 7)
        },
        Lie("loss told to a session that ended", at: "time passes again", says: "has ended") {
            $0.insert(.expired("db", of: carol, token: 3), at: 0)
        },
        Lie("revocation without right", at: "carol revokes", says: "may not revoke") {
            $0 = [.lost("db", of: alice, token: 1, revokedBy: carol), .revoked("db", to: carol, token: 1)]
        },
        Lie("revocation denied without reason", at: "alice revokes", says: "it is allowed") {
            $0 = [.denied("db", to: alice, token: 4, holder: UserID(1000))]
        },
        Lie("revocation that the holder does not hear of", at: "alice revokes", says: "was not told") {
            $0.removeFirst()
        },
        Lie("wait over at the end of the ttl", at: "time passes", says: "was due before on db") {
            $0 = [
                .timedOut(
                    "db",
                    to: bob.tagged("b"),
                    waited: .seconds(10),
                    holder: alice,
                    held: .seconds(10),
                    waiters: 1
                ),
                .expired("db", of: alice, token: 1), .granted("db", to: carol.tagged("c"), token: 2),
            ]
        },
        Lie("wait over before its time", at: "bob renews", says: "before the wait is over") {
            $0.insert(
                .timedOut("db", to: carol.tagged("c"), waited: .seconds(10), holder: bob, held: .seconds(1)),
                at: 0
            )
        },
        Lie("wait over for somebody who does not wait", at: "time passes", says: "does not wait") {
            $0.append(.timedOut("db", to: alice, waited: .seconds(10), holder: bob, held: .seconds(0), waiters: 1))
        },
        Lie("wait that is over goes on", at: "alice times out", says: "the next deadline is") { $0 = [] },
        Lie("wait over after another time", at: "alice times out", says: "after another time") {
            $0[0] = .timedOut("db", to: alice, waited: .seconds(6), holder: carol, held: .seconds(6), waiters: 1)
        },
        Lie("wait that is over is granted", at: "time passes again", says: "overtook") {
            $0[0] = .granted("db", to: alice, token: 4)
        },
        Lie("busy with another holder", at: "carol tries", says: "the holder is") {
            $0 = [.busy("db", to: carol, holder: bob, held: .seconds(2), waiters: 2)]
        },
        Lie("busy with fewer waiters", at: "carol tries", says: "[2] wait, not 1") {
            $0 = [.busy("db", to: carol, holder: alice, held: .seconds(2), waiters: 1)]
        },
        Lie("busy for one who can wait", at: "alice waits", says: "can wait") {
            $0 = [.busy("db", to: alice.tagged("a"), holder: bob, held: .seconds(2), waiters: 1)]
        },
        Lie("busy for the holder", at: "alice asks again", says: "instead of HELD") {
            $0 = [.busy("db", to: alice, holder: alice, held: .seconds(1), waiters: 2)]
        },
        Lie("held by another", at: "carol tries", says: "another owner") {
            $0 = [.held("db", by: carol, token: 1, ttl: .seconds(10))]
        },
        Lie("held under another token", at: "alice asks again", says: "another lease") {
            $0 = [.held("db", by: alice, token: 2, ttl: .seconds(10))]
        },
        Lie("held, but denied", at: "bob renews", says: "it is held") { $0 = [.notHeld("db", to: bob)] },
        Lie("renewed too late", at: "alice is late", says: "without lease") {
            $0 = [.renewed("db", to: alice, token: 1, ttl: .seconds(10))]
        },
        Lie("renewed for another time", at: "bob renews", says: "another time") {
            $0 = [.renewed("db", to: bob, token: 2, ttl: .seconds(31))]
        },
        Lie("tag refused that is free", at: "alice waits", says: "is free") {
            $0 = [.refused(alice.tagged("a"), .tagInUse("a"))]
        },
        Lie("limit that is not met", at: "alice waits", says: "there are only") {
            $0 = [.refused(alice.tagged("a"), .tooManyWaiters(limit: 100_000))]
        },
        Lie("not waiting, but it does", at: "alice cancels", says: "waits") { $0 = [.notWaiting("a", to: alice)] },
        Lie("waits cancelled of another session", at: "carol drains", says: "by nobody") {
            $0 = [.cancelled("db", to: bob)]
        },
    ]
}
