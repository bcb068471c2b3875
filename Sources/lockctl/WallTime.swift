// To the compiler timespec is of either module, of that which it has read first.
import CLinux
import Glibc
import LockdModel

/// What a clock on the wall says, for people.
struct WallTime: Equatable {
    /// Milliseconds since 1970.
    var milliseconds: Int64

    static func now() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    func earlier(by duration: Milliseconds) -> WallTime { WallTime(milliseconds: milliseconds - duration.count) }

    /// The time of day, `14:02:11`, with the date before it if that was half a day ago or more.
    func display(at now: WallTime) -> String {
        let halfADay: Int64 = 12 * 60 * 60 * 1000
        return now.milliseconds - milliseconds < halfADay ? format("%H:%M:%S") : format("%Y-%m-%d %H:%M:%S")
    }

    /// `2026-11-25 14:02:11`.
    var date: String { format("%Y-%m-%d %H:%M:%S") }

    private func format(_ pattern: String) -> String {
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, pattern, &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
