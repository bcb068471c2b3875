import ArgumentParser

/// What can be measured.
enum Case: String, CaseIterable, ExpressibleByArgument {
    case rawSocket = "Swift, raw socket"
    case blocking = "BlockingLockdClient"
    case tasks = "LockdClient"
    case threadsWithOwnLocks = "Swift, 64 threads, own locks"
    case threadsWithOneLock = "Swift, 64 threads, one lock"
    case tasksWithOwnLocks = "Swift, 1,000 tasks, own locks"
    case tasksWithOneLock = "Swift, 1,000 tasks, one lock"
    case memoryOfBlockingClients = "BlockingLockdClient, idle"
    case memoryOfClients = "LockdClient, idle"

    func measure(socket: String, seconds: Double) async throws -> [Figure] {
        switch self {
        case .rawSocket: try Pairs.ofRawSocket(socket, seconds)
        case .blocking: try Pairs.ofBlockingClient(socket, seconds)
        // Away from the main thread, as the tasks of a server are.
        case .tasks: try await Task.detached { try await Pairs.ofClient(socket, seconds) }.value
        case .threadsWithOwnLocks: try await Crowd.threads(socket, seconds) { "thread/\($0)" }
        case .threadsWithOneLock: try await Crowd.threads(socket, seconds) { _ in "threads" }
        case .tasksWithOwnLocks: try await Crowd.tasks(socket, seconds) { "task/\($0)" }
        case .tasksWithOneLock: try await Crowd.tasks(socket, seconds) { _ in "tasks" }
        case .memoryOfBlockingClients: try await Memory.ofBlockingClients(socket)
        case .memoryOfClients: try await Memory.ofClients(socket)
        }
    }
}
