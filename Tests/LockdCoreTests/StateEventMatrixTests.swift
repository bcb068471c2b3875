import LockdCore
import LockdModel
import Testing

@Suite struct StateEventMatrixTests {
    /// One cell of the matrix.
    struct Cell: Codable, CustomStringConvertible {
        var situation: Situation
        var happening: Happening

        var description: String { "\(situation) x \(happening)" }

        static let all = Situation.allCases.flatMap { situation in
            Happening.allCases.map { Cell(situation: situation, happening: $0) }
        }

        var outcome: Outcome? {
            switch happening {
            // Nobody here has a bound lease or wants reports: as little comes of it as of a reservation. Tests of their own have the rest.
            case .bindingEnded, .progressDue, .grantsSuspended:
                Cell(situation: situation, happening: .tokensReserved).written
            // What is due on the names that the session waits for ends; nobody's turn comes here, and nothing is sent again.
            case .sessionDetached, .sessionAttached:
                StateEventMatrixTests.settlingWaits[situation]
                    ?? Cell(situation: situation, happening: .tokensReserved).written
            default: written
            }
        }

        private var written: Outcome? {
            StateEventMatrixTests.matrix[situation]?[happening]
                ?? StateEventMatrixTests.severalNamesMatrix[situation]?[happening]
        }
    }

    @Test func everyCellHasItsOutcome() {
        #expect(Cell.all.count == 27 * 21)
        #expect(Cell.all.filter { $0.outcome == nil }.isEmpty)
        let counts = [Self.matrix, Self.severalNamesMatrix].joined().map(\.value.count)
        #expect(counts.reduce(0, +) == 27 * 16)
    }

    @Test func everyKindOfEventHasItsColumns() {
        for happening in Happening.allCases {
            #expect(Happening.columns(for: happening.event).contains(happening))
        }
    }

    @Test(arguments: Cell.all.filter { $0.outcome != .stops })
    func cellSaysWhatIsExpected(_ cell: Cell) {
        let table = cell.situation.arrange()
        let effects = table.apply(cell.happening.event).map(\.withoutEdges)
        #expect(.says(effects, leases: table.leaseCount, waiters: table.waiterCount) == cell.outcome)
    }

    @Test(arguments: Cell.all.filter { $0.outcome == .stops })
    func cellStopsTheProgram(_ cell: Cell) async {
        await #expect(processExitsWith: .failure) { [cell = cell as Cell] in
            _ = cell.situation.arrange().apply(cell.happening.event)
        }
    }
}

extension StateEventMatrixTests {
    static let waiting = alice.tagged("w")
    static let lossOfBob = Effect.lost("db", of: bob, token: 1, revokedBy: alice)
    static let expiry = Effect.expired("db", of: bob, token: 1)
    static let ownExpiry = Effect.expired("db", of: alice, token: 1)
    static let ownTimeout = Effect.timedOut(
        "db",
        to: waiting,
        waited: .seconds(10),
        holder: bob,
        held: .seconds(10)
    )
    static let grantFromQueue = Effect.granted("db", to: waiting, token: 2)
    /// Untagged, behind what the same session waits for or holds: it would hold that back.
    static let deadlock = Effect.sendDeadlock(alice, "db", [])
    static let deadlockOfBoth = Effect.sendDeadlock(alice, "db mail", [])
    static let nothingToEnd = Effect.notHeld("db", to: alice)
    static let noWait = Effect.notWaiting("w", to: alice)

    /// What comes of a session that loses its connection or gets one again, where that is more than nothing.
    static let settlingWaits: [Situation: Outcome] = [
        .waitDue: .says(1, 0, ownTimeout),
        .leaseDueWhileWaiting: .says(1, 0, expiry, grantFromQueue),
        .holderEndedWhileWaiting: .says(1, 0, grantFromQueue),
        .waitForSeveralDue: .says(1, 0, timeoutForSeveral),
        .leaseOnSeveralDueWhileWaiting: .says(1, 0, expiryOfSeveral, grantOfSeveral),
        .ended: .stops,
        .endedWithALease: .stops,
    ]

    static let matrix: [Situation: [Happening: Outcome]] = [
        .free: [
            .opened: .stops,
            .acquire: .says(1, 0, .granted("db", to: alice, token: 1)),
            .tryAcquire: .says(1, 0, .granted("db", to: alice, token: 1)),
            .acquireUnderTagW: .says(1, 0, .granted("db", to: waiting, token: 1)),
            .release: .says(0, 0, nothingToEnd),
            .renew: .says(0, 0, nothingToEnd),
            .cancelTagW: .says(0, 0, noWait),
            .revoke: .says(0, 0, nothingToEnd),
            .inspected: .says(0, 0),
            .inputEnded: .says(0, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(0, 0),
            .bytesBuffered: .says(0, 0),
            .timePassed: .says(0, 0),
        ],
        .heldByMe: [
            .opened: .stops,
            .acquire: .says(1, 0, .held("db", by: alice, token: 1)),
            .tryAcquire: .says(1, 0, .held("db", by: alice, token: 1)),
            .acquireUnderTagW: .says(1, 1),
            .release: .says(0, 0, .released("db", to: alice, token: 1)),
            .renew: .says(1, 0, .renewed("db", to: alice, token: 1, ttl: .seconds(5))),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(
                0,
                0,
                .lost("db", of: alice, token: 1, revokedBy: alice),
                .revoked("db", to: alice, token: 1)
            ),
            .inspected: .says(1, 0),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
        .heldByAnotherOwnerOfMine: [
            .opened: .stops,
            .acquire: .says(1, 0, deadlock),
            .tryAcquire: .says(1, 0, .busy("db", to: alice, holder: alice)),
            .acquireUnderTagW: .says(1, 1),
            .release: .says(0, 0, .released("db", to: alice, token: 1)),
            .renew: .says(1, 0, .renewed("db", to: alice, token: 1, ttl: .seconds(5))),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(
                0,
                0,
                .lost("db", of: alice, token: 1, revokedBy: alice),
                .revoked("db", to: alice, token: 1)
            ),
            .inspected: .says(1, 0),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
        .heldByAnother: [
            .opened: .stops,
            .acquire: .says(1, 1),
            .tryAcquire: .says(1, 0, .busy("db", to: alice, holder: bob)),
            .acquireUnderTagW: .says(1, 1),
            .release: .says(1, 0, nothingToEnd),
            .renew: .says(1, 0, nothingToEnd),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(0, 0, lossOfBob, .revoked("db", to: alice, token: 1)),
            .inspected: .says(1, 0),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
        .waitingAtTheHead: [
            .opened: .stops,
            .acquire: .says(1, 1, deadlock),
            .tryAcquire: .says(1, 1, .busy("db", to: alice, holder: bob, waiters: 1)),
            .acquireUnderTagW: .says(1, 1, .refused(waiting, .tagInUse("w"))),
            .release: .says(1, 1, nothingToEnd),
            .renew: .says(1, 1, nothingToEnd),
            .cancelTagW: .says(1, 0, .cancelled("db", to: waiting), .waitCancelled("w", to: alice)),
            .revoke: .says(1, 0, lossOfBob, .revoked("db", to: alice, token: 1), grantFromQueue),
            .inspected: .says(1, 1),
            .inputEnded: .says(1, 0, .cancelled("db", to: waiting)),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .bytesBuffered: .says(1, 1),
            .timePassed: .says(1, 1),
        ],
        .waitingBehindAnother: [
            .opened: .stops,
            .acquire: .says(1, 2, deadlock),
            .tryAcquire: .says(1, 2, .busy("db", to: alice, holder: bob, waiters: 2)),
            .acquireUnderTagW: .says(1, 2, .refused(waiting, .tagInUse("w"))),
            .release: .says(1, 2, nothingToEnd),
            .renew: .says(1, 2, nothingToEnd),
            .cancelTagW: .says(1, 1, .cancelled("db", to: waiting), .waitCancelled("w", to: alice)),
            .revoke: .says(
                1,
                1,
                lossOfBob,
                .revoked("db", to: alice, token: 1),
                .granted("db", to: carol, token: 2)
            ),
            .inspected: .says(1, 2),
            .inputEnded: .says(1, 1, .cancelled("db", to: waiting)),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 2),
            .bytesBuffered: .says(1, 2),
            .timePassed: .says(1, 2),
        ],
        .waitDue: [
            .opened: .stops,
            .acquire: .says(1, 1, ownTimeout),
            .tryAcquire: .says(1, 0, ownTimeout, .busy("db", to: alice, holder: bob, held: .seconds(10))),
            .acquireUnderTagW: .says(1, 1, ownTimeout),
            .release: .says(1, 0, ownTimeout, nothingToEnd),
            .renew: .says(1, 0, ownTimeout, nothingToEnd),
            .cancelTagW: .says(1, 0, ownTimeout, noWait),
            .revoke: .says(0, 0, ownTimeout, lossOfBob, .revoked("db", to: alice, token: 1)),
            .inspected: .says(1, 0, ownTimeout),
            .inputEnded: .says(1, 0, ownTimeout),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .bytesBuffered: .says(1, 1),
            .timePassed: .says(1, 0, ownTimeout),
        ],
        .leaseDue: [
            .opened: .stops,
            .acquire: .says(1, 0, expiry, .granted("db", to: alice, token: 2)),
            .tryAcquire: .says(1, 0, expiry, .granted("db", to: alice, token: 2)),
            .acquireUnderTagW: .says(1, 0, expiry, grantFromQueue),
            .release: .says(0, 0, expiry, nothingToEnd),
            .renew: .says(0, 0, expiry, nothingToEnd),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(0, 0, expiry, nothingToEnd),
            .inspected: .says(0, 0, expiry),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(0, 0, expiry),
        ],
        .leaseDueWhileWaiting: [
            .opened: .stops,
            .acquire: .says(1, 0, expiry, grantFromQueue, deadlock),
            .tryAcquire: .says(1, 0, expiry, grantFromQueue, .busy("db", to: alice, holder: alice)),
            .acquireUnderTagW: .says(1, 1, expiry, grantFromQueue),
            .release: .says(0, 0, expiry, grantFromQueue, .released("db", to: alice, token: 2)),
            .renew: .says(
                1,
                0,
                expiry,
                grantFromQueue,
                .renewed("db", to: alice, token: 2, ttl: .seconds(5))
            ),
            .cancelTagW: .says(1, 0, expiry, grantFromQueue, noWait),
            .revoke: .says(
                0,
                0,
                expiry,
                grantFromQueue,
                .lost("db", of: alice, token: 2, revokedBy: alice),
                .revoked("db", to: alice, token: 2)
            ),
            .inspected: .says(1, 0, expiry, grantFromQueue),
            .inputEnded: .says(1, 0, expiry, grantFromQueue),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .bytesBuffered: .says(1, 1),
            .timePassed: .says(1, 0, expiry, grantFromQueue),
        ],
        .ownLeaseDue: [
            .opened: .stops,
            .acquire: .says(1, 0, ownExpiry, .granted("db", to: alice, token: 2)),
            .tryAcquire: .says(1, 0, ownExpiry, .granted("db", to: alice, token: 2)),
            .acquireUnderTagW: .says(1, 0, ownExpiry, grantFromQueue),
            .release: .says(0, 0, ownExpiry, nothingToEnd),
            .renew: .says(0, 0, ownExpiry, nothingToEnd),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(0, 0, ownExpiry, nothingToEnd),
            .inspected: .says(0, 0, ownExpiry),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(0, 0, ownExpiry),
        ],
        .holderEnded: [
            .opened: .stops,
            .acquire: .says(1, 0, .granted("db", to: alice, token: 2)),
            .tryAcquire: .says(1, 0, .granted("db", to: alice, token: 2)),
            .acquireUnderTagW: .says(1, 0, grantFromQueue),
            .release: .says(0, 0, nothingToEnd),
            .renew: .says(0, 0, nothingToEnd),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(0, 0, nothingToEnd),
            .inspected: .says(0, 0),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(0, 0),
        ],
        .holderEndedWhileWaiting: [
            .opened: .stops,
            .acquire: .says(1, 0, grantFromQueue, deadlock),
            .tryAcquire: .says(1, 0, grantFromQueue, .busy("db", to: alice, holder: alice)),
            .acquireUnderTagW: .says(1, 1, grantFromQueue),
            .release: .says(0, 0, grantFromQueue, .released("db", to: alice, token: 2)),
            .renew: .says(1, 0, grantFromQueue, .renewed("db", to: alice, token: 2, ttl: .seconds(5))),
            .cancelTagW: .says(1, 0, grantFromQueue, noWait),
            .revoke: .says(
                0,
                0,
                grantFromQueue,
                .lost("db", of: alice, token: 2, revokedBy: alice),
                .revoked("db", to: alice, token: 2)
            ),
            .inspected: .says(1, 0, grantFromQueue),
            .inputEnded: .says(1, 0, grantFromQueue),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .bytesBuffered: .says(1, 1),
            .timePassed: .says(1, 0, grantFromQueue),
        ],
        .draining: [
            .opened: .stops,
            .acquire: .says(1, 0, .granted("db", to: alice, token: 1)),
            .tryAcquire: .says(1, 0, .granted("db", to: alice, token: 1)),
            .acquireUnderTagW: .says(1, 0, .granted("db", to: waiting, token: 1)),
            .release: .says(0, 0, nothingToEnd),
            .renew: .says(0, 0, nothingToEnd),
            .cancelTagW: .says(0, 0, noWait),
            .revoke: .says(0, 0, nothingToEnd),
            .inspected: .says(0, 0),
            .inputEnded: .stops,
            .sessionEnded: .says(0, 0),
            .tokensReserved: .says(0, 0),
            .bytesBuffered: .says(0, 0),
            .timePassed: .says(0, 0),
        ],
        .drainingWithALease: [
            .opened: .stops,
            .acquire: .says(1, 0, .held("db", by: alice, token: 1)),
            .tryAcquire: .says(1, 0, .held("db", by: alice, token: 1)),
            .acquireUnderTagW: .says(1, 0, .busy("db", to: waiting, holder: alice)),
            .release: .says(0, 0, .released("db", to: alice, token: 1)),
            .renew: .says(1, 0, .renewed("db", to: alice, token: 1, ttl: .seconds(5))),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(
                0,
                0,
                .lost("db", of: alice, token: 1, revokedBy: alice),
                .revoked("db", to: alice, token: 1)
            ),
            .inspected: .says(1, 0),
            .inputEnded: .stops,
            .sessionEnded: .says(1, 0),
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
        .drainingWhileHeldByAnother: [
            .opened: .stops,
            .acquire: .says(1, 0, .busy("db", to: alice, holder: bob)),
            .tryAcquire: .says(1, 0, .busy("db", to: alice, holder: bob)),
            .acquireUnderTagW: .says(1, 0, .busy("db", to: waiting, holder: bob)),
            .release: .says(1, 0, nothingToEnd),
            .renew: .says(1, 0, nothingToEnd),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(0, 0, lossOfBob, .revoked("db", to: alice, token: 1)),
            .inspected: .says(1, 0),
            .inputEnded: .stops,
            .sessionEnded: .says(1, 0),
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
        .ended: [
            // Nothing is left of the session, so the table cannot know that its number was used before.
            .opened: .says(0, 0),
            .acquire: .stops,
            .tryAcquire: .stops,
            .acquireUnderTagW: .stops,
            .release: .stops,
            .renew: .stops,
            .cancelTagW: .stops,
            .revoke: .stops,
            .inspected: .says(0, 0),
            .inputEnded: .stops,
            .sessionEnded: .stops,
            .tokensReserved: .says(0, 0),
            .bytesBuffered: .says(0, 0),
            .timePassed: .says(0, 0),
        ],
        .endedWithALease: [
            .opened: .stops,
            .acquire: .stops,
            .tryAcquire: .stops,
            .acquireUnderTagW: .stops,
            .release: .stops,
            .renew: .stops,
            .cancelTagW: .stops,
            .revoke: .stops,
            .inspected: .says(0, 0),
            .inputEnded: .stops,
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .bytesBuffered: .says(1, 0),
            .timePassed: .says(0, 0),
        ],
    ]
}
