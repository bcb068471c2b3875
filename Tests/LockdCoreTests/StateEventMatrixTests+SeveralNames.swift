import LockdCore
import LockdModel

/// What becomes of requests for `db` and `mail`, and of `db` where there are leases on both or requests for both.
extension StateEventMatrixTests {
    private static let timeoutForSeveral = Effect.timedOut(
        "db mail",
        to: waiting,
        waited: .seconds(10),
        holder: bob,
        held: .seconds(10)
    )
    private static let lossOfSeveral = Effect.lost("mail db", of: bob, token: 1, revokedBy: alice)
    private static let expiryOfSeveral = Effect.expired("mail db", of: bob, token: 1)
    private static let grantOfSeveral = Effect.granted("db mail", to: waiting, token: 2)
    private static let grantOfMail = Effect.granted("mail", to: carol, token: 2)

    static let severalNamesMatrix = requestsForSeveralNames.merging(severalNames) { first, _ in first }

    private static let requestsForSeveralNames: [Situation: [Happening: Outcome]] = [
        .free: [
            .acquireBoth: .says(1, 0, .granted("db mail", to: alice, token: 1)),
            .tryAcquireBoth: .says(1, 0, .granted("db mail", to: alice, token: 1)),
        ],
        .heldByMe: [
            .acquireBoth: .says(1, 0, .refused(alice, .partlyHeld)),
            .tryAcquireBoth: .says(1, 0, .refused(alice, .partlyHeld)),
        ],
        .heldByAnotherOwnerOfMine: [
            .acquireBoth: .says(1, 0, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 0, .busy("db mail", to: alice, holder: alice)),
        ],
        .heldByAnother: [
            .acquireBoth: .says(1, 1),
            .tryAcquireBoth: .says(1, 0, .busy("db mail", to: alice, holder: bob)),
        ],
        .waitingAtTheHead: [
            .acquireBoth: .says(1, 1, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 1, .busy("db mail", to: alice, holder: bob, waiters: 1)),
        ],
        .waitingBehindAnother: [
            .acquireBoth: .says(1, 2, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 2, .busy("db mail", to: alice, holder: bob, waiters: 2)),
        ],
        .waitDue: [
            .acquireBoth: .says(1, 1, ownTimeout),
            .tryAcquireBoth: .says(1, 0, ownTimeout, .busy("db mail", to: alice, holder: bob, held: .seconds(10))),
        ],
        .leaseDue: [
            .acquireBoth: .says(1, 0, expiry, .granted("db mail", to: alice, token: 2)),
            .tryAcquireBoth: .says(1, 0, expiry, .granted("db mail", to: alice, token: 2)),
        ],
        .leaseDueWhileWaiting: [
            .acquireBoth: .says(1, 0, expiry, grantFromQueue, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 0, expiry, grantFromQueue, .busy("db mail", to: alice, holder: alice)),
        ],
        .ownLeaseDue: [
            .acquireBoth: .says(1, 0, ownExpiry, .granted("db mail", to: alice, token: 2)),
            .tryAcquireBoth: .says(1, 0, ownExpiry, .granted("db mail", to: alice, token: 2)),
        ],
        .holderEnded: [
            .acquireBoth: .says(1, 0, .granted("db mail", to: alice, token: 2)),
            .tryAcquireBoth: .says(1, 0, .granted("db mail", to: alice, token: 2)),
        ],
        .holderEndedWhileWaiting: [
            .acquireBoth: .says(1, 0, grantFromQueue, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 0, grantFromQueue, .busy("db mail", to: alice, holder: alice)),
        ],
        .draining: [
            .acquireBoth: .says(1, 0, .granted("db mail", to: alice, token: 1)),
            .tryAcquireBoth: .says(1, 0, .granted("db mail", to: alice, token: 1)),
        ],
        .drainingWithALease: [
            .acquireBoth: .says(1, 0, .refused(alice, .partlyHeld)),
            .tryAcquireBoth: .says(1, 0, .refused(alice, .partlyHeld)),
        ],
        .drainingWhileHeldByAnother: [
            .acquireBoth: .says(1, 0, .busy("db mail", to: alice, holder: bob)),
            .tryAcquireBoth: .says(1, 0, .busy("db mail", to: alice, holder: bob)),
        ],
        .ended: [
            .acquireBoth: .stops,
            .tryAcquireBoth: .stops,
        ],
        .endedWithALease: [
            .acquireBoth: .stops,
            .tryAcquireBoth: .stops,
        ],
    ]

    private static let severalNames: [Situation: [Happening: Outcome]] = [
        .heldByMeWithAnotherName: [
            .opened: .stops,
            .acquire: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .tryAcquire: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .acquireUnderTagW: .says(1, 1),
            .acquireBoth: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .tryAcquireBoth: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .release: .says(0, 0, .released("mail db", to: alice, token: 1)),
            .renew: .says(1, 0, .renewed("mail db", to: alice, token: 1, ttl: .seconds(5))),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(
                0,
                0,
                .lost("mail db", of: alice, token: 1, revokedBy: alice),
                .revoked("mail db", to: alice, token: 1)
            ),
            .inspected: .says(1, 0),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
        .heldByMeBesideAnotherName: [
            .opened: .stops,
            .acquire: .says(2, 0, .held("db", by: alice, token: 1)),
            .tryAcquire: .says(2, 0, .held("db", by: alice, token: 1)),
            .acquireUnderTagW: .says(2, 1),
            .acquireBoth: .says(2, 0, .refused(alice, .partlyHeld)),
            .tryAcquireBoth: .says(2, 0, .refused(alice, .partlyHeld)),
            .release: .says(1, 0, .released("db", to: alice, token: 1)),
            .renew: .says(2, 0, .renewed("db", to: alice, token: 1, ttl: .seconds(5))),
            .cancelTagW: .says(2, 0, noWait),
            .revoke: .says(
                1,
                0,
                .lost("db", of: alice, token: 1, revokedBy: alice),
                .revoked("db", to: alice, token: 1)
            ),
            .inspected: .says(2, 0),
            .inputEnded: .says(2, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(2, 0),
            .timePassed: .says(2, 0),
        ],
        .heldByAnotherWithAnotherName: [
            .opened: .stops,
            .acquire: .says(1, 1),
            .tryAcquire: .says(1, 0, .busy("db", to: alice, holder: bob)),
            .acquireUnderTagW: .says(1, 1),
            .acquireBoth: .says(1, 1),
            .tryAcquireBoth: .says(1, 0, .busy("db mail", to: alice, holder: bob)),
            .release: .says(1, 0, nothingToEnd),
            .renew: .says(1, 0, nothingToEnd),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(0, 0, lossOfSeveral, .revoked("mail db", to: alice, token: 1)),
            .inspected: .says(1, 0),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
        .freeWhileWaitingForAnotherName: [
            .opened: .stops,
            .acquire: .says(1, 1, deadlock),
            .tryAcquire: .says(1, 1, .sendBusy(alice, "db", holder: nil, waiterCount: 1)),
            .acquireUnderTagW: .says(1, 1, .refused(waiting, .tagInUse("w"))),
            .acquireBoth: .says(1, 1, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 1, .sendBusy(alice, "db mail", holder: nil, waiterCount: 1)),
            .release: .says(1, 1, nothingToEnd),
            .renew: .says(1, 1, nothingToEnd),
            .cancelTagW: .says(1, 0, .cancelled("db mail", to: waiting), .waitCancelled("w", to: alice)),
            .revoke: .says(1, 1, nothingToEnd),
            .inspected: .says(1, 1),
            .inputEnded: .says(1, 0, .cancelled("db mail", to: waiting)),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .timePassed: .says(1, 1),
        ],
        .freeBehindOneWhoWaitsForAnotherName: [
            .opened: .stops,
            .acquire: .says(1, 2, deadlock),
            .tryAcquire: .says(1, 2, .sendBusy(alice, "db", holder: nil, waiterCount: 2)),
            .acquireUnderTagW: .says(1, 2, .refused(waiting, .tagInUse("w"))),
            .acquireBoth: .says(1, 2, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 2, .sendBusy(alice, "db mail", holder: nil, waiterCount: 2)),
            .release: .says(1, 2, nothingToEnd),
            .renew: .says(1, 2, nothingToEnd),
            .cancelTagW: .says(1, 1, .cancelled("db", to: waiting), .waitCancelled("w", to: alice)),
            .revoke: .says(1, 2, nothingToEnd),
            .inspected: .says(1, 2),
            .inputEnded: .says(1, 1, .cancelled("db", to: waiting)),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 2),
            .timePassed: .says(1, 2),
        ],
        .waitForSeveralDue: [
            .opened: .stops,
            .acquire: .says(2, 0, timeoutForSeveral, .granted("db", to: alice, token: 2)),
            .tryAcquire: .says(2, 0, timeoutForSeveral, .granted("db", to: alice, token: 2)),
            .acquireUnderTagW: .says(2, 0, timeoutForSeveral, grantFromQueue),
            .acquireBoth: .says(1, 1, timeoutForSeveral),
            .tryAcquireBoth: .says(
                1,
                0,
                timeoutForSeveral,
                .busy("db mail", to: alice, holder: bob, held: .seconds(10))
            ),
            .release: .says(1, 0, timeoutForSeveral, nothingToEnd),
            .renew: .says(1, 0, timeoutForSeveral, nothingToEnd),
            .cancelTagW: .says(1, 0, timeoutForSeveral, noWait),
            .revoke: .says(1, 0, timeoutForSeveral, nothingToEnd),
            .inspected: .says(1, 0, timeoutForSeveral),
            .inputEnded: .says(1, 0, timeoutForSeveral),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .timePassed: .says(1, 0, timeoutForSeveral),
        ],
        .leaseOnSeveralDue: [
            .opened: .stops,
            .acquire: .says(1, 0, expiryOfSeveral, .granted("db", to: alice, token: 2)),
            .tryAcquire: .says(1, 0, expiryOfSeveral, .granted("db", to: alice, token: 2)),
            .acquireUnderTagW: .says(1, 0, expiryOfSeveral, grantFromQueue),
            .acquireBoth: .says(1, 0, expiryOfSeveral, .granted("db mail", to: alice, token: 2)),
            .tryAcquireBoth: .says(1, 0, expiryOfSeveral, .granted("db mail", to: alice, token: 2)),
            .release: .says(0, 0, expiryOfSeveral, nothingToEnd),
            .renew: .says(0, 0, expiryOfSeveral, nothingToEnd),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(0, 0, expiryOfSeveral, nothingToEnd),
            .inspected: .says(0, 0, expiryOfSeveral),
            .inputEnded: .says(1, 0),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 0),
            .timePassed: .says(0, 0, expiryOfSeveral),
        ],
        .leaseOnSeveralDueWhileWaiting: [
            .opened: .stops,
            .acquire: .says(1, 0, expiryOfSeveral, grantOfSeveral, deadlock),
            .tryAcquire: .says(1, 0, expiryOfSeveral, grantOfSeveral, .busy("db", to: alice, holder: alice)),
            .acquireUnderTagW: .says(1, 1, expiryOfSeveral, grantOfSeveral),
            .acquireBoth: .says(1, 0, expiryOfSeveral, grantOfSeveral, deadlockOfBoth),
            .tryAcquireBoth: .says(1, 0, expiryOfSeveral, grantOfSeveral, .busy("db mail", to: alice, holder: alice)),
            .release: .says(0, 0, expiryOfSeveral, grantOfSeveral, .released("db mail", to: alice, token: 2)),
            .renew: .says(
                1,
                0,
                expiryOfSeveral,
                grantOfSeveral,
                .renewed("db mail", to: alice, token: 2, ttl: .seconds(5))
            ),
            .cancelTagW: .says(1, 0, expiryOfSeveral, grantOfSeveral, noWait),
            .revoke: .says(
                0,
                0,
                expiryOfSeveral,
                grantOfSeveral,
                .lost("db mail", of: alice, token: 2, revokedBy: alice),
                .revoked("db mail", to: alice, token: 2)
            ),
            .inspected: .says(1, 0, expiryOfSeveral, grantOfSeveral),
            .inputEnded: .says(1, 0, expiryOfSeveral, grantOfSeveral),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .timePassed: .says(1, 0, expiryOfSeveral, grantOfSeveral),
        ],
        .holderOfSeveralEnded: [
            .opened: .stops,
            .acquire: .says(2, 0, grantOfMail, .granted("db", to: alice, token: 3)),
            .tryAcquire: .says(2, 0, grantOfMail, .granted("db", to: alice, token: 3)),
            .acquireUnderTagW: .says(2, 0, grantOfMail, .granted("db", to: waiting, token: 3)),
            .acquireBoth: .says(1, 1, grantOfMail),
            .tryAcquireBoth: .says(1, 0, grantOfMail, .busy("db mail", to: alice, holder: carol)),
            .release: .says(1, 0, grantOfMail, nothingToEnd),
            .renew: .says(1, 0, grantOfMail, nothingToEnd),
            .cancelTagW: .says(1, 1, noWait),
            .revoke: .says(1, 0, grantOfMail, nothingToEnd),
            .inspected: .says(1, 0, grantOfMail),
            .inputEnded: .says(1, 1),
            .sessionEnded: .stops,
            .tokensReserved: .says(1, 1),
            .timePassed: .says(1, 0, grantOfMail),
        ],
        .drainingWithALeaseOnSeveral: [
            .opened: .stops,
            .acquire: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .tryAcquire: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .acquireUnderTagW: .says(1, 0, .busy("db", to: waiting, holder: alice)),
            .acquireBoth: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .tryAcquireBoth: .says(1, 0, .held("mail db", by: alice, token: 1)),
            .release: .says(0, 0, .released("mail db", to: alice, token: 1)),
            .renew: .says(1, 0, .renewed("mail db", to: alice, token: 1, ttl: .seconds(5))),
            .cancelTagW: .says(1, 0, noWait),
            .revoke: .says(
                0,
                0,
                .lost("mail db", of: alice, token: 1, revokedBy: alice),
                .revoked("mail db", to: alice, token: 1)
            ),
            .inspected: .says(1, 0),
            .inputEnded: .stops,
            .sessionEnded: .says(1, 0),
            .tokensReserved: .says(1, 0),
            .timePassed: .says(1, 0),
        ],
    ]
}
