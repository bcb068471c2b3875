import LockdModel
import LockdWire
import Logging
import ServiceLifecycle
import Testing

@testable import LockdClient
@testable import LockdClientServiceLifecycle

/// Services that hold a lease while their group runs, with real groups and the real daemon.
@Suite(.timeLimit(.minutes(5))) struct LeaseServiceTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    private func group(_ service: any Service) -> ServiceGroup {
        var configuration = ServiceGroupConfiguration(
            services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        configuration.maximumGracefulShutdownDuration = nil
        return ServiceGroup(configuration: configuration)
    }

    @Test func leaseIsHeldUntilTheGroupHasShutDown() async throws {
        let group = group(LeaseService(client, "scheduler", "other", note: "the scheduler"))
        let running = Task { try await group.run() }
        while try daemon.show("other").isEmpty { await Task.yield() }
        await group.triggerGracefulShutdown()
        try await running.value
        #expect(try daemon.show("scheduler") == [])
        #expect(try await client.history(of: "scheduler").first?.note == "the%20scheduler")
    }

    @Test func workThatShutsDownKeepsTheLeaseUntilItHasEnded() async throws {
        let (isShuttingDown, mayEnd) = (Room(), Room())
        let group = group(
            LeaseService(client, "scheduler") { _ in
                try await gracefulShutdown()
                isShuttingDown.enter()
                while mayEnd.visits == 0 { await Task.yield() }
            }
        )
        let running = Task { try await group.run() }
        while try daemon.show("scheduler").isEmpty { await Task.yield() }
        await group.triggerGracefulShutdown()
        while isShuttingDown.visits == 0 { await Task.yield() }
        #expect(try await client.tryAcquire("scheduler") == nil)
        mayEnd.enter()
        try await running.value
        #expect(try daemon.show("scheduler") == [])
    }

    @Test func oneOfManyIsAtWorkAndAnotherGoesOn() async throws {
        let (atWork, clients) = (Room(), [client, daemon.client(), daemon.client()])
        let groups = clients.map { client in
            group(
                LeaseService(client, "scheduler") { _ in
                    atWork.enter()
                    defer { atWork.leave() }
                    try await gracefulShutdown()
                }
            )
        }
        var running: [Task<Void, any Error>] = []
        for (number, group) in groups.enumerated() {
            running.append(Task { try await group.run() })
            while try daemon.show("scheduler").count != number + 1 { await Task.yield() }
        }
        for (number, group) in groups.enumerated() {
            while atWork.visits <= number { await Task.yield() }
            await group.triggerGracefulShutdown()
            try await running[number].value
        }
        #expect(atWork.visits == 3)
        #expect(atWork.mostAtATime == 1)
    }

    @Test func whoWaitsWhenItShutsDownWaitsNoLonger() async throws {
        let lease = try await client.acquire("scheduler")
        let group = group(LeaseService(client, "scheduler") { _ in Issue.record("it is held by somebody else") })
        let running = Task { try await group.run() }
        try await daemon.awaitWaiters(1, for: "scheduler")
        await group.triggerGracefulShutdown()
        try await running.value
        #expect(try daemon.show("scheduler").count == 1)
        try await lease.release()
    }

    @Test func groupShutsDownAlthoughThereIsNoDaemon() async throws {
        let group = group(LeaseService(client, "scheduler"))
        let running = Task { try await group.run() }
        while try daemon.show("scheduler").isEmpty { await Task.yield() }
        daemon.end()
        await group.triggerGracefulShutdown()
        try await running.value
        try daemon.start()
        while try !daemon.show("scheduler").isEmpty { await Task.yield() }
    }

    @Test func lossCancelsTheWorkAndEndsTheGroup() async throws {
        let group = group(LeaseService(client, ["scheduler"], running: Sleeping()))
        let running = Task { try await group.run() }
        while try daemon.show("scheduler").isEmpty { await Task.yield() }
        _ = try daemon.session().ask(.revoke(LockName("scheduler"), token: nil, reason: nil))
        let error = await #expect(throws: LockdClientError.self) { try await running.value }
        #expect(error?.code == .leaseLost)
    }

    @Test func errorOfTheWorkIsThatOfTheGroup() async throws {
        struct Failure: Error {}
        let group = group(LeaseService(client, "scheduler") { _ in throw Failure() })
        await #expect(throws: Failure.self) { try await group.run() }
        #expect(try daemon.show("scheduler") == [])
    }

    @Test func groupThatIsCancelledReleases() async throws {
        let group = group(LeaseService(client, "scheduler"))
        let running = Task { try await group.run() }
        while try daemon.show("scheduler").isEmpty { await Task.yield() }
        running.cancel()
        _ = await running.result
        #expect(try daemon.show("scheduler") == [])
    }
}

/// Does nothing, for ever.
private struct Sleeping: Service {
    func run() async throws { try await Task.sleep(for: .seconds(3600)) }
}
