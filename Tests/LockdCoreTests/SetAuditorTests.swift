import LockdCore
import LockdModel
import Testing

/// The auditor objects to wrong stories about several names, too.
@Suite struct SetAuditorTests {
    /// What happens, one event a second.
    private static let script: [(name: String, event: Event)] = [
        ("alice opens", .sessionOpened(alice.session, user: UserID(1000))),
        ("bob opens", .sessionOpened(bob.session, user: UserID(1000))),
        ("carol opens", .sessionOpened(carol.session, user: UserID(1001))),
        ("alice acquires", .acquireRequested(AcquireRequest(alice, "a b", timeToLive: .seconds(100)))),
        ("bob waits", .acquireRequested(AcquireRequest(bob.tagged("1"), "b c", wait: .after(.seconds(60))))),
        ("carol waits", .acquireRequested(AcquireRequest(carol.tagged("2"), "c", wait: .after(.seconds(60))))),
        ("carol tries", .acquireRequested(AcquireRequest(carol, "x c b", wait: .none))),
        ("alice asks for a part", .acquireRequested(AcquireRequest(alice, "b"))),
        ("alice asks for more", .acquireRequested(AcquireRequest(alice, "a x"))),
        ("carol revokes", .revokeRequested(carol, "b", token: nil, reason: nil)),
        ("alice renews", .renewRequested(alice, "b", token: nil, timeToLive: .seconds(5))),
        ("alice expires", .timePassed),
        ("bob releases", .releaseRequested(bob, "c", token: nil)),
        ("bob waits again", .acquireRequested(AcquireRequest(bob.tagged("3"), "x c"))),
        ("alice waits for a free name", .acquireRequested(AcquireRequest(alice, "x"))),
        ("bob cancels", .cancelRequested(bob, tag: "3")),
    ]

    struct Lie: CustomStringConvertible, Sendable {
        var description: String
        var step: String
        var effects: [Effect]
        var complaint: String

        init(_ description: String, at step: String, says complaint: String, _ effects: [Effect]) {
            (self.description, self.step, self.complaint, self.effects) = (description, step, complaint, effects)
        }
    }

    private static let bobWaits = bob.tagged("1")
    private static let expiry = Effect.expired("a b", of: alice, token: 1)

    static let lies = [
        Lie(
            "granted though one name is held",
            at: "bob waits",
            says: "while",
            [.granted("b c", to: bobWaits, token: 2)]
        ),
        Lie(
            "free name is granted to who came later",
            at: "carol waits",
            says: "overtook",
            [
                .granted("c", to: carol.tagged("2"), token: 2)
            ]
        ),
        Lie("a part is granted", at: "bob waits", says: "granted other names", [.granted("c", to: bobWaits, token: 2)]),
        Lie(
            "busy with the wrong name",
            at: "carol tries",
            says: "the holder is",
            [
                .busy("x c b", to: carol, holder: alice, held: .seconds(3), waiters: 1)
            ]
        ),
        Lie(
            "busy with other names",
            at: "carol tries",
            says: "other names",
            [
                .sendBusy(carol, "c b", holder: nil, waiterCount: 2)
            ]
        ),
        Lie(
            "held with the names of the request",
            at: "alice asks for a part",
            says: "another lease",
            [
                .held("b", by: alice, token: 1, ttl: .seconds(100))
            ]
        ),
        Lie(
            "part of a lease is refused",
            at: "alice asks for a part",
            says: "has all of the names",
            [
                .refused(alice, .partlyHeld)
            ]
        ),
        Lie("waits for its own lease", at: "alice asks for more", says: "for its own lease", []),
        Lie(
            "held though it is but a part",
            at: "alice asks for more",
            says: "another owner",
            [
                .held("a b", by: alice, token: 1, ttl: .seconds(100))
            ]
        ),
        Lie(
            "denied for one name",
            at: "carol revokes",
            says: "another lease",
            [
                .denied("b", to: carol, token: 1, holder: UserID(1000))
            ]
        ),
        Lie(
            "renewed on one name",
            at: "alice renews",
            says: "without lease",
            [
                .renewed("b", to: alice, token: 1, ttl: .seconds(5))
            ]
        ),
        Lie(
            "lost on one name",
            at: "alice expires",
            says: "not held so",
            [
                .expired("b", of: alice, token: 1), .granted("b c", to: bobWaits, token: 2),
            ]
        ),
        Lie("who waits for the other names is forgotten", at: "alice expires", says: "forgotten", [expiry]),
        Lie(
            "granted out of turn on one name",
            at: "alice expires",
            says: "overtook",
            [
                expiry, .granted("c", to: carol.tagged("2"), token: 2),
            ]
        ),
        Lie("released on one name", at: "bob releases", says: "without lease", [.released("c", to: bob, token: 2)]),
        Lie(
            "who waits behind one of the names is forgotten",
            at: "bob releases",
            says: "forgotten",
            [
                .released("b c", to: bob, token: 2)
            ]
        ),
        Lie(
            "free name is not free",
            at: "alice waits for a free name",
            says: "overtook",
            [
                .granted("x", to: alice, token: 4)
            ]
        ),
        Lie(
            "cancelled for one name",
            at: "bob cancels",
            says: "does not wait",
            [
                .cancelled("x", to: bob.tagged("3"), waited: .seconds(2)), .waitCancelled("3", to: bob),
            ]
        ),
        Lie(
            "free name is not granted",
            at: "bob cancels",
            says: "forgotten",
            [
                .cancelled("x c", to: bob.tagged("3"), waited: .seconds(2)), .waitCancelled("3", to: bob),
            ]
        ),
    ]

    @Test func trueStoryIsBelieved() throws {
        try tell(instead: nil)
    }

    @Test(arguments: lies)
    func liesAreNotBelieved(_ lie: Lie) throws {
        #expect(Self.script.contains { $0.name == lie.step })
        let complaint = try #require(throws: Complaint.self) { try tell(instead: lie) }
        #expect(complaint.description.contains(lie.complaint))
    }

    /// Tells the auditor what a real table makes of the script, but for the lie.
    private func tell(instead lie: Lie?) throws {
        var table = LockTable(limits: Limits(), firstToken: 1, reservedThrough: 100)
        var auditor = Auditor(of: table, reservedThrough: 100)
        for (second, (name, event)) in Self.script.enumerated() {
            // The ttl that Alice asks for is over by then.
            let late: Int64 = second > 10 ? 10 : 0
            let now = MonotonicInstant(nanoseconds: (Int64(second) + late) * 1_000_000_000)
            let effects = table.apply(event, at: now)
            let told = lie?.step == name ? lie?.effects : nil
            try auditor.observe(event, at: now, told ?? effects, leaseCount: table.leaseCount)
            try auditor.observe(nextDeadline: table.nextDeadline)
        }
    }
}
