import CUnix
import Glibc
import LockdModel
import Synchronization

/// The descriptors that clients have sent and that nothing is bound to: how many there are of each user, and the threads that close them.
///
/// To close what a stranger has opened can take as long as he likes: a file of a file system of his own, a socket that lingers, a pipe that
/// somebody writes to from memory that is never there. So that is never done on the loop's thread, and of one user's descriptors
/// never more than one is being closed: whose closing hangs holds up nobody else's. They count until they are closed. A user with
/// too many of them can send no more, see ``isFull(for:)``.
///
/// May be used from any thread; nothing here blocks.
final class LooseDescriptors: Sendable {
    /// How many threads there are at the most, each started when it is needed: so many users can have closings that hang before those of others
    /// have to wait.
    static let threadLimit = 8

    /// The most of all users, and of one user; root and the daemon's user are not bounded.
    private let limit: Int
    private let limitOfUser: Int
    private let ownUser: UserID
    private let work = ClosingWork(threadLimit: threadLimit)

    init(limit: Int, ownUser: UserID = UserID(geteuid())) {
        self.limit = limit
        // Half of what there is, so that one user alone cannot keep everybody else out.
        limitOfUser = max(1, limit / 2)
        self.ownUser = ownUser
    }

    deinit {
        work.finish()
    }

    /// How many there are in all.
    var count: Int { work.total.load(ordering: .relaxed) }

    /// How many there are of one user.
    func count(of user: UserID) -> Int { work.count(of: user) }

    /// Whether no more descriptors are to be taken from this user.
    func isFull(for user: UserID) -> Bool {
        // Asked before every read, and nearly always this is all.
        let total = count
        if total < limitOfUser || user == .root || user == ownUser { return false }
        return total >= limit || work.count(of: user) >= limitOfUser
    }

    /// Counts descriptors that have come from a user.
    func add(_ count: Int, of user: UserID) { work.add(count, of: user) }

    /// Counts one less: it is bound now.
    func takeOne(of user: UserID) { work.remove(1, of: user) }

    /// Closes a descriptor that was counted, some time.
    func close(_ descriptor: CInt, of user: UserID) { work.close(descriptor, of: user) }
}

/// What the threads share, guarded by a mutex.
///
/// Of pthreads, because `Synchronization.Mutex` cannot be waited with, and hands over where the thread sanitizer does not see it.
private final class ClosingWork: @unchecked Sendable {
    private struct Account {
        var count = 0
        var toClose: [CInt] = []
        /// A thread is at it, or it is in the queue.
        var isTaken = false
    }

    /// How many descriptors there are, for whoever does not want to take the mutex.
    let total = Atomic(0)

    private let threadLimit: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var accounts: [UserID: Account] = [:]
    /// Users with descriptors to close at which no thread is, in order.
    private var queue: [UserID] = []
    private var threadCount = 0
    private var idleThreadCount = 0
    private var isFinished = false

    init(threadLimit: Int) {
        self.threadLimit = threadLimit
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func count(of user: UserID) -> Int { locked { accounts[user]?.count ?? 0 } }

    func add(_ count: Int, of user: UserID) {
        total.add(count, ordering: .relaxed)
        locked { accounts[user, default: Account()].count += count }
    }

    func remove(_ count: Int, of user: UserID) {
        total.subtract(count, ordering: .relaxed)
        locked {
            let former = accounts[user]?.count ?? 0
            precondition(former >= count, "\(count) of \(former) descriptors of user \(user) are to go")
            accounts[user]?.count -= count
            forgetIfEmpty(user)
        }
    }

    func close(_ descriptor: CInt, of user: UserID) {
        locked {
            accounts[user, default: Account()].toClose.append(descriptor)
            enqueue(user)
        }
    }

    /// Makes the threads end when there is nothing left to do.
    func finish() {
        locked {
            isFinished = true
            pthread_cond_broadcast(condition)
        }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    private func forgetIfEmpty(_ user: UserID) {
        guard let account = accounts[user], account.count == 0, !account.isTaken else { return }
        accounts[user] = nil
    }

    private func enqueue(_ user: UserID) {
        if accounts[user]?.isTaken == false {
            accounts[user]?.isTaken = true
            queue.append(user)
        }
        if queue.count <= idleThreadCount {
            pthread_cond_signal(condition)
        } else if threadCount < threadLimit, startThread() {
            threadCount += 1
        }
    }

    /// Starts a thread that runs ``closeAll()``.
    ///
    /// If there can be none now, the descriptors stay until the next one is to be closed.
    private func startThread() -> Bool {
        let work = Unmanaged.passRetained(self)
        let error = cunix_start_thread(
            { work in
                guard let work else { return nil }
                Unmanaged<ClosingWork>.fromOpaque(work).takeRetainedValue().closeAll()
                return nil
            },
            work.toOpaque()
        )
        if error != 0 { work.release() }
        return error == 0
    }

    private func closeAll() {
        pthread_mutex_lock(mutex)
        while let user = nextUser() {
            let batch = accounts[user]?.toClose ?? []
            accounts[user]?.toClose = []
            pthread_mutex_unlock(mutex)
            for descriptor in batch {
                Glibc.close(descriptor)
                remove(1, of: user)
            }
            pthread_mutex_lock(mutex)
            accounts[user]?.isTaken = false
            if accounts[user]?.toClose.isEmpty == false { enqueue(user) }
            forgetIfEmpty(user)
        }
        threadCount -= 1
        pthread_mutex_unlock(mutex)
    }

    /// Waits for a user whose descriptors are to be closed; nothing if there will be none.
    private func nextUser() -> UserID? {
        while queue.isEmpty {
            if isFinished { return nil }
            idleThreadCount += 1
            pthread_cond_wait(condition, mutex)
            idleThreadCount -= 1
        }
        return queue.removeFirst()
    }
}
