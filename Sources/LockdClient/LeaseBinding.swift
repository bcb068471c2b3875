import CUnix
import LockdModel

/// What a lease lives as long as, in place of this client's session.
public enum LeaseBinding: Hashable, Sendable {
    /// The process with this number, of this process's own user, or any for root.
    ///
    /// It is looked up when the lease is asked for: that it has not ended before, and its number become another process's, the caller has to see to, as a parent
    /// can that has not waited for its child.
    case process(Int32)
    /// The process of this pidfd, which stays the caller's.
    case pidfd(Int32)
    /// The pipe of this read end, which stays the caller's, until the last descriptor of its write end is closed.
    ///
    /// Whoever inherits the write end keeps the lease, so this covers a whole tree of processes.
    case pipe(readEnd: Int32)

    var kind: Binding {
        switch self {
        case .process, .pidfd: .pidfd
        case .pipe: .pipe
        }
    }

    /// A descriptor of it that is the client's own.
    func descriptor(for names: LockNames) throws(LockdClientError) -> Descriptor {
        let (number, what) =
            switch self {
            case .process(let process): (cunix_process_descriptor(process), "the process \(process)")
            case .pidfd(let descriptor), .pipe(let descriptor):
                (cunix_duplicate(descriptor), "the descriptor \(descriptor)")
            }
        guard number != -1 else {
            let error = System.errorNumber
            if error == System.ErrorNumber.noSuchProcess { throw .bindingEnded(names) }
            throw .invalidArgument("a lease cannot be bound to \(what): \(System.message(of: error))")
        }
        return Descriptor(owning: number)
    }
}
