import LockdModel
import Testing

@testable import LockdCore

/// What a table makes of what is left of another one.
@Suite struct RestoringTests {
    private static let begin = MonotonicInstant(nanoseconds: 1_000_000_000_000)
    private static let end = begin + .seconds(60)

    private let peer = Peer(process: 7, user: UserID(1000))

    private func session(_ number: UInt64) -> SessionRecord { SessionRecord(id: SessionID(number), peer: peer) }

    private func claim(
        _ names: LockNames,
        of session: UInt64,
        arrival: UInt64,
        token: UInt64? = nil,
        tag: Tag? = nil,
        limit: HolderLimit = .exclusive
    ) -> ClaimRecord {
        ClaimRecord(
            id: RequestID(SessionID(session), tag: tag),
            session: SessionID(session),
            names: names,
            holderLimit: limit,
            arrival: arrival,
            arrivedAt: Self.begin,
            token: token.map { FencingToken($0) },
            since: Self.begin
        )
    }

    private func restore(
        _ sessions: [SessionRecord],
        _ claims: [ClaimRecord],
        limits: Limits = Limits()
    ) -> (table: LockTable, problems: [String]) {
        var record = TableRecord()
        (record.sessions, record.claims) = (sessions, claims)
        var problems: [String] = []
        let table = LockTable(
            limits: limits,
            firstToken: 1000,
            reservedThrough: 100_000,
            restoring: record,
            downtime: (Self.begin, Self.end),
            problems: &problems
        )
        table.checkInvariants()
        return (table, problems)
    }

    @Test func queuesGoOnInTheirOrder() {
        var (table, problems) = restore(
            [session(1), session(2), session(3)],
            [claim("db", of: 3, arrival: 3), claim("db", of: 1, arrival: 1, token: 5), claim("db", of: 2, arrival: 2)]
        )
        #expect(problems.isEmpty)
        let release = Event.releaseRequested(RequestID(SessionID(1)), "db", token: nil)
        let effects = table.apply(release, at: Self.end)
        #expect(
            effects == [
                .released("db", to: RequestID(SessionID(1)), token: 5),
                .granted("db", to: RequestID(SessionID(2)), token: 1000),
            ]
        )
        table.checkInvariants()
    }

    @Test func leasesLastLongerByTheDowntimeAndWaitsDoNot() {
        var late = claim("a", of: 1, arrival: 1, token: 1)
        late.deadline = Self.begin + .seconds(5)
        var over = claim("b", of: 1, arrival: 2, token: 2)
        over.deadline = Self.begin
        var wait = claim("a", of: 1, arrival: 3, tag: "w")
        wait.deadline = Self.begin + .seconds(5)
        var (table, _) = restore([session(1)], [late, over, wait])
        let deadlines = (0..<3).compactMap { table.claimRecord(in: $0)?.deadline }
        #expect(deadlines == [Self.end + .seconds(5), Self.begin, Self.begin + .seconds(5)])
        let effects = table.apply(.timePassed, at: Self.end)
        #expect(effects.count == 2)
        #expect(effects.first == .sendLost(SessionID(1), "b", token: 2, reason: .expired))
        #expect(table.waiterCount == 0 && table.leaseCount == 1)
    }

    @Test func whatIsFreeIsGrantedBeforeAnythingElseIsDue() {
        var wait = claim("db", of: 1, arrival: 1)
        wait.deadline = Self.begin + .seconds(1)
        var (table, problems) = restore([session(1)], [wait])
        #expect(problems.isEmpty)
        #expect(table.nextDeadline == Self.begin)
        #expect(table.apply(.timePassed, at: Self.end) == [.granted("db", to: wait.id, token: 1000)])
    }

    @Test func leasesOfASessionThatHasEndedAreWorkedOff() {
        let ended = SessionRecord(id: SessionID(1), peer: peer, endedAt: Self.begin)
        let claims = [claim("db", of: 1, arrival: 1, token: 1), claim("db", of: 2, arrival: 2)]
        var (table, problems) = restore([ended, session(2)], claims)
        #expect(problems.isEmpty)
        let effects = table.apply(.timePassed, at: Self.end)
        #expect(effects.map(\.withoutPredecessor) == [.granted("db", to: claims[1].id, token: 1000)])
        #expect(effects.first?.abandonment?.ending == .ended)
        #expect(table.recordSlot(of: SessionID(1)) == nil)
        table.checkInvariants()
    }

    @Test func waitsWantToHearHowTheyGoAnew() {
        var wait = claim("db", of: 1, arrival: 2, tag: "w")
        wait.progress = .seconds(10)
        var (table, _) = restore([session(1)], [claim("db", of: 1, arrival: 1, token: 1), wait])
        #expect(table.nextProgress == Self.end)
        #expect(table.apply(.progressDue, at: Self.end).count == 1)
        #expect(table.nextProgress == nil)
    }

    @Test func boundLeaseIsASessionThatSomebodyElsePaysFor() {
        let bound = SessionRecord(id: SessionID(9), peer: peer, isBound: true, payer: UserID(1001))
        var lease = claim("db", of: 9, arrival: 1, token: 1)
        lease.id = RequestID(SessionID(1), tag: "w")
        var (table, problems) = restore([bound], [lease])
        #expect(problems.isEmpty)
        #expect(table.bytesLeft(for: UserID(1001)) < Limits().bytesPerUser)
        #expect(table.bytesLeft(for: UserID(1000)) == Limits().bytesPerUser)
        #expect(table.apply(.bindingEnded(SessionID(9)), at: Self.end) == [])
        #expect(table.apply(.timePassed, at: Self.end) == [.unbind(SessionID(9))])
        table.checkInvariants()
        #expect(table.userCount == 0)
    }

    @Test func arrivalsAreCountedOnFromTheLast() {
        var resumed = session(1)
        resumed.resumedThrough = 70
        var (table, _) = restore([resumed], [claim("db", of: 1, arrival: 50, token: 1)])
        _ = table.apply(.acquireRequested(AcquireRequest(RequestID(SessionID(1)), "mail")), at: Self.end)
        #expect(table.claimRecord(in: 1)?.arrival == 71)
        #expect(table.claimRecord(in: 1)?.token == 1000)
    }

    @Test func moreThanTheLimitsAllowIsKept() {
        var limits = Limits()
        (limits.leases, limits.leasesPerSession, limits.leasesPerUser) = (1, 1, 1)
        (limits.waiters, limits.waitersPerSession, limits.waitersPerUser, limits.bytesPerUser) = (1, 1, 1, 1)
        let leases = (1...3).map { claim(LockNames("n\($0)"), of: 1, arrival: UInt64($0), token: UInt64($0)) }
        let waits = (4...6).map { claim("n1", of: 1, arrival: UInt64($0), tag: Tag(UInt64($0))) }
        var (table, problems) = restore([session(1)], leases + waits, limits: limits)
        #expect(problems.isEmpty)
        #expect(table.leaseCount == 3 && table.waiterCount == 3)
        let request = AcquireRequest(RequestID(SessionID(1), tag: "x"), "other")
        #expect(
            table.apply(.acquireRequested(request), at: Self.end)
                == [.refused(request.id, .tooManyLeasesOfSession(limit: 1))]
        )
        for name in ["n2", "n3", "n1"] as [LockName] {
            _ = table.apply(.releaseRequested(RequestID(SessionID(1)), name, token: nil), at: Self.end)
            table.checkInvariants()
        }
        _ = table.apply(.inputEnded(SessionID(1)), at: Self.end)
        #expect(table.waiterCount == 0)
        table.checkInvariants()
    }

    /// Two things that cannot both be true, what of them is kept, and what is said of the other.
    private struct Contradiction {
        var claims: [ClaimRecord]
        var kept: Int
        var complaint: String
    }

    @Test func whatContradictsItselfIsDroppedAndNamed() {
        var negative = claim("a", of: 1, arrival: 1)
        negative.since = MonotonicInstant(nanoseconds: -1)
        var endless = claim("a", of: 1, arrival: 1)
        endless.timeToLive = Milliseconds(.max)
        var foreign = claim("a", of: 1, arrival: 1, token: 1)
        foreign.id = RequestID(SessionID(2))
        var doublyBound = [claim("a", of: 1, arrival: 2, tag: "1"), claim("a", of: 1, arrival: 3, tag: "2")]
        let holder = claim("a", of: 1, arrival: 1, token: 1)
        for index in 0...1 { doublyBound[index].boundHolder = BoundHolder(session: SessionID(9), peer: peer) }
        let cases = [
            Contradiction(claims: [claim("a", of: 4, arrival: 1)], kept: 0, complaint: "there is no such session"),
            Contradiction(
                claims: [claim("a", of: 4, arrival: 1, token: 1)],
                kept: 0,
                complaint: "there is no such session"
            ),
            Contradiction(
                claims: [claim("a b", of: 1, arrival: 2, token: 2), claim("b", of: 2, arrival: 1, token: 1)],
                kept: 1,
                complaint: "lease 2 on a b of session 1, arrival 2: who holds b does not admit it"
            ),
            Contradiction(
                claims: [
                    claim("a", of: 1, arrival: 2, token: 1, limit: .shared),
                    claim("a", of: 2, arrival: 1, token: 2, limit: .shared),
                ],
                kept: 1,
                complaint: "lease 2"
            ),
            Contradiction(
                claims: [claim("a", of: 1, arrival: 1, token: 1), claim("b", of: 2, arrival: 2, token: 1)],
                kept: 1,
                complaint: "another one has the same token"
            ),
            Contradiction(
                claims: [claim("a", of: 1, arrival: 1, token: 1), claim("a", of: 2, arrival: 1)],
                kept: 1,
                complaint: "another one has the same arrival"
            ),
            Contradiction(
                claims: [holder, claim("a", of: 1, arrival: 2, tag: "t"), claim("a", of: 1, arrival: 3, tag: "t")],
                kept: 2,
                complaint: "another one waits under #t"
            ),
            Contradiction(
                claims: [claim("a", of: 1, arrival: 2, token: 1), claim("a", of: 2, arrival: 1)],
                kept: 1,
                complaint: "waiting request on a of session 2, arrival 1: who holds a arrived later"
            ),
            Contradiction(claims: [holder] + doublyBound, kept: 2, complaint: "session 9 is another one"),
            Contradiction(claims: [foreign], kept: 0, complaint: "it is not bound"),
            Contradiction(claims: [negative], kept: 0, complaint: "its times are impossible"),
            Contradiction(claims: [endless], kept: 0, complaint: "its lengths of time are impossible"),
            Contradiction(
                claims: [claim("a", of: 1, arrival: 1, token: 1000)],
                kept: 0,
                complaint: "its token was not granted"
            ),
            Contradiction(claims: [claim("a", of: 1, arrival: 0)], kept: 0, complaint: "its arrival is impossible"),
            Contradiction(claims: [claim("a", of: 1, arrival: .max)], kept: 0, complaint: "its arrival is impossible"),
        ]
        for contradiction in cases {
            let (table, problems) = restore([session(1), session(2)], contradiction.claims)
            #expect(problems.count == 1 && problems[0].contains(contradiction.complaint), "\(problems)")
            #expect(table.leaseCount + table.waiterCount == contradiction.kept, "\(contradiction.complaint)")
        }
    }

    @Test func sessionsThatContradictThemselvesAreDroppedAndNamed() {
        let bound = SessionRecord(id: SessionID(1), peer: peer, isBound: true)
        let ended = SessionRecord(id: SessionID(1), peer: peer, endedAt: Self.begin)
        let past = SessionRecord(id: SessionID(1), peer: peer, detachedAt: MonotonicInstant(nanoseconds: .min))
        let lease = claim("a", of: 1, arrival: 1, token: 1)
        let cases: [([SessionRecord], [ClaimRecord], Int, String)] = [
            ([session(1), session(1)], [], 1, "session 1 is there twice"),
            ([bound], [], 0, "has no lease"),
            ([ended], [], 0, "has no lease"),
            ([past], [], 0, "impossible time"),
            ([bound], [lease, claim("b", of: 1, arrival: 2, token: 2)], 1, "a bound lease is alone"),
            ([bound], [lease, claim("b", of: 1, arrival: 2)], 1, "a session waits for itself"),
            ([ended], [lease, claim("b", of: 1, arrival: 2)], 1, "a session waits for itself"),
        ]
        for (sessions, claims, kept, complaint) in cases {
            var (table, problems) = restore(sessions, claims)
            #expect(problems.count == 1 && problems[0].contains(complaint), "\(problems)")
            #expect((0..<sessions.count).count { table.sessionRecord(in: $0) != nil } == kept)
        }
    }

    @Test func problemsAreNamedUpToAHundred() {
        let (_, problems) = restore([], (1...300).map { claim("a", of: 1, arrival: $0) })
        #expect(problems.count == 101)
        #expect(problems.last == "there is more that contradicts itself")
        #expect(restore([], (1...100).map { claim("a", of: 1, arrival: $0) }).problems.count == 100)
    }
}

extension LockNames {
    fileprivate init(_ spelling: String) { self.init(LockName(stringLiteral: spelling)) }
}
