import LockdModel

/// What kind of day the lock table has.
struct SimulationPlan: CustomStringConvertible, Sendable {
    var name: String
    var sessionCount = 200
    var nameCount = 50
    /// How often in a thousand steps the clock moves, and how often a table that has something to work off is told so.
    var clockMoves = 300
    var tellings = 900
    /// How often in a thousand steps a session opens or goes on to end.
    var churn = 30
    /// How often in a thousand steps the daemon restarts, and then grants nothing for a while.
    var restarts = 2
    var suspensions = 1
    /// How often in a thousand steps a session loses its connection or gets one again.
    var detachments = 20
    /// How many of a thousand requests tolerate any number of holders, and how many a few.
    var shared = 200
    var counted = 150
    /// How many of a thousand requests are for several names, and for how many at the most.
    var sets = 150
    var setSize = 5
    var limits = Limits()

    var description: String { name }

    static let all = [
        SimulationPlan(name: "crowd", sessionCount: 3000, nameCount: 1000, clockMoves: 20),
        SimulationPlan(name: "contention", sessionCount: 300, nameCount: 4, clockMoves: 50, churn: 10),
        SimulationPlan(name: "churn", sessionCount: 400, nameCount: 100, clockMoves: 100, churn: 250),
        SimulationPlan(name: "late", sessionCount: 200, nameCount: 40, clockMoves: 500, tellings: 20),
        SimulationPlan(name: "readers", sessionCount: 400, nameCount: 4, clockMoves: 50, churn: 10, shared: 900),
        SimulationPlan(name: "exclusive", sessionCount: 300, nameCount: 20, clockMoves: 100, shared: 0, counted: 0),
        SimulationPlan(name: "singles", sessionCount: 200, nameCount: 40, clockMoves: 200, sets: 0),
        philosophers, slices, limited, fewGrants, overloaded, crowded, quotas, restarts,
    ]

    /// Connections come and go all the time, and the daemon does.
    private static var restarts: SimulationPlan {
        var plan = SimulationPlan(name: "restarts", sessionCount: 30, nameCount: 20, clockMoves: 200)
        (plan.restarts, plan.suspensions, plan.detachments) = (10, 5, 150)
        plan.limits.detachedGrace = .seconds(1)
        (plan.limits.namedHistograms, plan.limits.namedHistogramsPerUser) = (10, 4)
        return plan
    }

    /// Few names, of which most requests want two or three.
    private static var philosophers: SimulationPlan {
        SimulationPlan(
            name: "philosophers",
            sessionCount: 150,
            nameCount: 12,
            clockMoves: 100,
            churn: 10,
            shared: 50,
            counted: 50,
            sets: 900,
            setSize: 3
        )
    }

    /// More is due at a time than one turn ends, and than it grants, on names that are claimed together.
    private static var overloaded: SimulationPlan {
        var plan = SimulationPlan(
            name: "overloaded",
            sessionCount: 100,
            nameCount: 15,
            clockMoves: 200,
            tellings: 300,
            churn: 60,
            shared: 400,
            counted: 200,
            sets: 400
        )
        plan.limits.endingsPerTurn = 3
        plan.limits.detachedGrace = .seconds(1)
        plan.limits.waitersPerSession = 3
        plan.limits.grantsPerTurn = 2
        return plan
    }

    /// Several names at once, where every limit is met all the time.
    private static var crowded: SimulationPlan {
        var plan = SimulationPlan(
            name: "crowded",
            sessionCount: 60,
            nameCount: 30,
            clockMoves: 200,
            tellings: 500,
            sets: 500
        )
        plan.limits.leases = 50
        plan.limits.leasesPerSession = 5
        plan.limits.waiters = 40
        plan.limits.waitersPerSession = 3
        plan.limits.endingsPerTurn = 3
        plan.limits.detachedGrace = .seconds(1)
        plan.limits.grantsPerTurn = 3
        return plan
    }

    /// Many readers that are granted a few at a time.
    private static var fewGrants: SimulationPlan {
        var plan = SimulationPlan(name: "few grants", sessionCount: 200, nameCount: 3, clockMoves: 100, shared: 700)
        plan.limits.grantsPerTurn = 2
        return plan
    }

    /// Few endings in a turn, so that requests come in between.
    private static var slices: SimulationPlan {
        var plan = SimulationPlan(
            name: "slices",
            sessionCount: 100,
            nameCount: 200,
            clockMoves: 100,
            tellings: 300,
            churn: 100
        )
        plan.limits.endingsPerTurn = 3
        plan.limits.detachedGrace = .seconds(1)
        plan.limits.waitersPerSession = 3
        return plan
    }

    /// The limits of each user are met all the time.
    private static var quotas: SimulationPlan {
        var plan = SimulationPlan(
            name: "users",
            sessionCount: 60,
            nameCount: 60,
            clockMoves: 100,
            tellings: 500,
            sets: 200
        )
        plan.limits.leasesPerUser = 12
        plan.limits.waitersPerUser = 8
        plan.limits.bytesPerUser = 20_000
        return plan
    }

    /// Every limit is met all the time.
    private static var limited: SimulationPlan {
        var plan = SimulationPlan(name: "limited", sessionCount: 60, nameCount: 80, clockMoves: 100, tellings: 500)
        plan.limits.leases = 50
        plan.limits.leasesPerSession = 5
        plan.limits.waiters = 40
        plan.limits.waitersPerSession = 3
        plan.limits.endingsPerTurn = 3
        plan.limits.detachedGrace = .seconds(1)
        return plan
    }
}
