import Synchronization

/// The owner in whose name a piece of work acquires, whichever of its tasks does.
///
/// ```swift
/// try await LeaseOwner.with {
///     try await client.withLease("accounts/1") { _ in
///         try await client.withLease("accounts/2") { _ in try await transfer() }
///     }
/// }
/// ```
///
/// What is asked for in there without an `owner:` of its own is asked for by one owner: by the task, by its child tasks, and by tasks that it makes with `Task.init`, but not by
/// detached ones. So an owner that asks for what it holds is refused (``LockdClientError/Code/alreadyHeld``) and does not wait for itself, and deadlocks between owners are found
/// (``LockdClientError/Code/deadlock``). Outside of it every request is an owner of its own.
public enum LeaseOwner {
    /// The name of the owner; `nil` outside of ``with(_:isolation:_:)``.
    @TaskLocal public static var current: String?

    private static let last = Atomic<UInt64>(0)

    /// Calls `body`, in which everything is acquired by the owner `name`, or, without one, by an owner that nobody else of this process is.
    ///
    /// A name has 1 to 64 bytes; whether it has, is looked at when something is acquired.
    public static func with<Result>(
        _ name: String? = nil,
        isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Result
    ) async rethrows -> Result {
        try await $current.withValue(name ?? make(), operation: body)
    }

    /// The same, for plain threads.
    public static func with<Result>(_ name: String? = nil, _ body: () throws -> Result) rethrows -> Result {
        try $current.withValue(name ?? make(), operation: body)
    }

    private static func make() -> String { "LeaseOwner/\(last.add(1, ordering: .relaxed).newValue)" }
}
