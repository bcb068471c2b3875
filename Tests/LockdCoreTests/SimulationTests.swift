import Glibc
import LockdCore
import LockdModel
import Testing

/// Random days in the life of a lock table.
///
/// `SEED=…` repeats one of them, `PLAN=…` one kind of them, `SIMULATION_STEPS=…` makes them longer or shorter.
@Suite struct SimulationTests {
    private static let seeds: [UInt64] = number("SEED").map { [$0] } ?? [1, 2, 3]
    private static let plans = SimulationPlan.all.filter { value(of: "PLAN") ?? $0.name == $0.name }
    private static let stepCount = Int(number("SIMULATION_STEPS") ?? 2000)

    @Test(arguments: plans, seeds)
    func auditorHasNothingToComplainAbout(_ plan: SimulationPlan, _ seed: UInt64) {
        // Said beforehand, because a broken invariant stops the program.
        print("simulation of \(plan), SEED=\(seed), SIMULATION_STEPS=\(Self.stepCount)")
        var simulation = Simulation(plan, seed: seed)
        do {
            try simulation.run(stepCount: Self.stepCount)
            // Where everything is shared or waited for, there may be no short way.
            if plan.shared == 0 { #expect(simulation.shortWayCount > 0) }
            if plan.detachments > 100, Self.stepCount >= 3000 {
                #expect(simulation.repeatedGrantCount > 0 && simulation.vainCount > 0)
            }
        } catch {
            Issue.record("\(plan), SEED=\(seed), SIMULATION_STEPS=\(Self.stepCount): \(error)")
        }
    }

    @Test func sameSeedGivesTheSameEffects() throws {
        var fingerprints: Set<Int> = []
        for seed: UInt64 in [7, 7, 8] {
            var simulation = Simulation(SimulationPlan.all[0], seed: seed)
            try simulation.run(stepCount: 500)
            fingerprints.insert(simulation.fingerprint)
        }
        #expect(fingerprints.count == 2)
    }

    private static func number(_ variable: String) -> UInt64? {
        value(of: variable).flatMap { UInt64($0) }
    }

    private static func value(of variable: String) -> String? {
        getenv(variable).map { String(cString: $0) }
    }
}
