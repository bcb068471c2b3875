import Glibc
import LockdModel
import Testing

@testable import Systemd

@Suite struct WatchdogTests {
    private func instant(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: milliseconds * 1_000_000)
    }

    /// Whether it tells at each of the instants, in their order.
    private func tells(_ watchdog: inout Watchdog, at milliseconds: Int64...) -> [Bool] {
        milliseconds.map { watchdog.keepAlive(at: instant($0)) }
    }

    @Test func tellsAtOnceAndThenWhenHalfTheTimeIsUsedUp() {
        var watchdog = Watchdog(microseconds: 2_000_000)
        let first = tells(&watchdog, at: 5000)
        #expect(first == [true])
        #expect(watchdog.dueAt == instant(6000))
        let later = tells(&watchdog, at: 5001, 5999, 6400)
        #expect(later == [false, false, true])
        #expect(watchdog.dueAt == instant(7400))
    }

    @Test func aTimeWithoutEndIsNoProblem() {
        var watchdog = Watchdog(microseconds: .max)
        let told = tells(&watchdog, at: 0, 86_400_000)
        #expect(told == [true, false])
    }
}

@Suite struct StatusPaceTests {
    private func instant(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: milliseconds * 1_000_000)
    }

    /// What the pace makes of a status at an instant, and when it wants to be asked again.
    private func ask(_ pace: inout StatusPace<Int>, _ status: Int, at milliseconds: Int64) -> Answer {
        let tells = pace.tells(status, at: instant(milliseconds))
        return Answer(tells: tells, dueAt: pace.dueAt.map { $0.nanoseconds / 1_000_000 })
    }

    private struct Answer: Equatable {
        let tells: Bool
        let dueAt: Int64?
    }

    @Test func tellsTheFirstAtOnceAndTheLastOfASecondBehindIt() {
        var pace = StatusPace<Int>()
        let answers = [
            ask(&pace, 1, at: 100), ask(&pace, 2, at: 200), ask(&pace, 3, at: 1099), ask(&pace, 3, at: 1100),
        ]
        #expect(
            answers == [
                Answer(tells: true, dueAt: nil), Answer(tells: false, dueAt: 1100), Answer(tells: false, dueAt: 1100),
                Answer(tells: true, dueAt: nil),
            ]
        )
    }

    @Test func whatIsAsItWasToldIsNotToldAgainAndWakesNobody() {
        var pace = StatusPace<Int>()
        let answers = [ask(&pace, 1, at: 0), ask(&pace, 2, at: 10), ask(&pace, 1, at: 20), ask(&pace, 1, at: 5000)]
        #expect(
            answers == [
                Answer(tells: true, dueAt: nil), Answer(tells: false, dueAt: 1000), Answer(tells: false, dueAt: nil),
                Answer(tells: false, dueAt: nil),
            ]
        )
    }

    @Test func whatWasToldOtherwiseCounts() {
        var pace = StatusPace<Int>()
        pace.tell(1, at: instant(0))
        let answers = [ask(&pace, 1, at: 10), ask(&pace, 2, at: 20)]
        #expect(answers == [Answer(tells: false, dueAt: nil), Answer(tells: false, dueAt: 1000)])
    }
}
