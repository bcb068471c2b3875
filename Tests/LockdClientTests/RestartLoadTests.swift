import Foundation
import LockdModel
import Testing

@testable import LockdClient

/// The daemon ends again and again while clients work.
///
/// A suite of its own, because the limit of a suite holds for each of its tests, and this one takes longer than the
/// others where everything is slow. `RESTARTS` says how often the daemon ends; `make restarts` has it done 200 times.
@Suite(.timeLimit(.minutes(10))) struct RestartLoadTests {
    private static let restartCount = ProcessInfo.processInfo.environment["RESTARTS"].flatMap { Int($0) } ?? 50

    @Test func restartsUnderLoadAreNotNoticed() async throws {
        let daemon = try Daemon()
        let client = daemon.client()
        let isOver = Flag()
        let room = Room()
        let lastToken = Guarded<UInt64>(0)
        let clients = [client, daemon.client(), daemon.client()]
        let progress = clients.map { _ in Room() }
        let kept = try await client.acquire("kept", ttl: .seconds(60))
        for client in clients { try await client.ping() }
        try await withThrowingTaskGroup { group in
            for number in 0..<6 {
                let (client, progress) = (clients[number % clients.count], progress[number % clients.count])
                group.addTask {
                    while !isOver.isRaised {
                        try await client.withLease("a", ttl: .seconds(60)) { lease in
                            room.enter()
                            let isLater = lastToken.withLock { last in
                                defer { last = lease.token }
                                return last < lease.token
                            }
                            #expect(isLater)
                            room.leave()
                        }
                        try await client.acquire("shared", mode: .shared).release()
                        try await client.acquire("x", "y", waitTimeout: .seconds(250)).release()
                        progress.enter()
                    }
                }
            }
            for number in 0..<Self.restartCount {
                try daemon.restart(number.isMultiple(of: 2) ? SIGKILL : SIGTERM)
                // Everybody is back, and at work.
                let visits = progress.map(\.visits)
                while zip(progress, visits).contains(where: { $0.visits == $1 }) {
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
            isOver.raise()
            try await group.waitForAll()
        }
        #expect(room.mostAtATime == 1)
        #expect(!kept.isLost)
        try await kept.release()
        for name in ["a", "kept", "shared", "x", "y"] { #expect(try daemon.show(name) == []) }
    }

    @Test func restartsUnderLoadAreNotNoticedByThreads() async throws {
        let daemon = try Daemon()
        let client = BlockingLockdClient(socket: daemon.socket)
        let isOver = Flag()
        let (room, progress) = (Room(), (0..<4).map { _ in Room() })
        let kept = try client.acquire("kept", ttl: .seconds(60))
        try await withThrowingTaskGroup { group in
            for progress in progress {
                group.addTask {
                    try await onThread {
                        while !isOver.isRaised {
                            try client.withLease("a", ttl: .seconds(60)) { _ in
                                room.enter()
                                room.leave()
                            }
                            try client.acquire("shared", mode: .shared).release()
                            try client.acquire("x", "y", waitTimeout: .seconds(250)).release()
                            progress.enter()
                        }
                    }
                }
            }
            for number in 0..<Self.restartCount / 2 {
                try daemon.restart(number.isMultiple(of: 2) ? SIGKILL : SIGTERM)
                let visits = progress.map(\.visits)
                while zip(progress, visits).contains(where: { $0.visits == $1 }) {
                    try Task.checkCancellation()
                    await Task.yield()
                }
            }
            isOver.raise()
            try await group.waitForAll()
        }
        #expect(room.mostAtATime == 1)
        #expect(!kept.isLost)
        try kept.release()
        for name in ["a", "kept", "shared", "x", "y"] { #expect(try daemon.show(name) == []) }
    }
}
