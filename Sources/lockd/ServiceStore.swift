import LockdServer
import Logging
import Systemd

/// Has systemd keep descriptors for the next daemon.
final class ServiceStore: DescriptorStore {
    private let notifier: Notifier
    private let logger: Logger

    /// A store, if there is a systemd that was asked to keep descriptors; it may be told not to, which cannot be seen.
    init(_ notifier: Notifier, logger: Logger) {
        self.notifier = notifier
        self.logger = logger
    }

    func store(_ descriptors: [Int32], as name: String) { report(notifier.store(descriptors, as: name)) }

    func remove(_ name: String) { report(notifier.removeStored(name)) }

    func barrier() -> Int32? {
        do {
            return try notifier.barrier()
        } catch {
            logger.warning("cannot wait for systemd", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private func report(_ outcome: Notifier.Outcome) {
        guard case .failed = outcome else { return }
        logger.warning("systemd does not keep descriptors", metadata: ["error": "\(outcome)"])
    }
}
