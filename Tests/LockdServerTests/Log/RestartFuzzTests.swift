import Foundation
import Testing

@testable import LockdServer

/// A daemon that is killed at any moment is gone on with as if it had not been.
///
/// `SEED=…` repeats one of the runs; `RESTART_TURNS` says how long they are.
@Suite struct RestartFuzzTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seeds: [UInt64] =
        environment["SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3, 4]
    private static let turnCount = environment["RESTART_TURNS"].flatMap { Int($0) } ?? 1000

    @Test(arguments: seeds) func nothingIsLostWhateverTheMoment(seed: UInt64) throws {
        // Said beforehand, because a broken invariant stops the program.
        print("restarts, SEED=\(seed)")
        var fuzz = try RestartFuzz(seed: seed)
        for turn in 0..<Self.turnCount {
            do {
                try fuzz.takeTurn()
            } catch {
                Issue.record("SEED=\(seed), turn \(turn), restart \(fuzz.restartCount): \(error)")
                return
            }
        }
        #expect(fuzz.restartCount > Self.turnCount / 20 && fuzz.resumptionCount > Self.turnCount / 100)
        #expect(fuzz.goneOnCount > Self.turnCount / 100)
    }
}
