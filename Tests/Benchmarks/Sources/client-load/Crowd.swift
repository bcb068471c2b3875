import Foundation
import LockdClient
import Synchronization

/// What a crowd in one process gets out of its one connection.
enum Crowd {
    private static let (threadCount, taskCount) = (64, 1000)

    /// What all of the crowd have measured.
    private final class Taken: Sendable {
        private let all = Mutex<[UInt64]>([])

        func add(_ own: [UInt64]) { all.withLock { $0 += own } }

        func figures(_ nanoseconds: UInt64) throws -> [Figure] {
            let all = all.withLock { $0 }
            let rate = Double(all.count) / (Double(nanoseconds) / 1e9)
            return try [Figure(name: "pairs/s", value: rate)] + Figure.latencies(all)
        }
    }

    static func threads(
        _ socket: String,
        _ seconds: Double,
        _ name: @escaping @Sendable (Int) -> String
    ) async throws -> [Figure] {
        let (client, taken) = (BlockingLockdClient(socket: socket), Taken())
        try client.ping()
        let began = Clock.now()
        let end = began + UInt64(seconds * 1e9)
        try await withThrowingDiscardingTaskGroup { group in
            for number in 0..<threadCount {
                group.addTask {
                    try await onThread {
                        var own: [UInt64] = []
                        var start = Clock.now()
                        repeat {
                            try client.acquire(name(number)).release()
                            let now = Clock.now()
                            own.append(now - start)
                            start = now
                        } while start < end
                        taken.add(own)
                    }
                }
            }
        }
        return try taken.figures(Clock.now() - began)
    }

    static func tasks(
        _ socket: String,
        _ seconds: Double,
        _ name: @escaping @Sendable (Int) -> String
    ) async throws -> [Figure] {
        let (client, taken) = (LockdClient(socket: socket), Taken())
        try await client.ping()
        let began = Clock.now()
        let end = began + UInt64(seconds * 1e9)
        try await withThrowingDiscardingTaskGroup { group in
            for number in 0..<taskCount {
                group.addTask {
                    var own: [UInt64] = []
                    var start = Clock.now()
                    repeat {
                        try await client.acquire(name(number)).release()
                        let now = Clock.now()
                        own.append(now - start)
                        start = now
                    } while start < end
                    taken.add(own)
                }
            }
        }
        return try taken.figures(Clock.now() - began)
    }

    /// Runs `body` on a thread of its own.
    private static func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}
