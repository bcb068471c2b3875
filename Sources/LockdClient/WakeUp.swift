import CUnix
import LockdModel

/// What ends the sleep of a thread before its time.
///
/// May be rung from any thread.
final class WakeUp: Sendable {
    private let bell: cunix_bell

    /// - Throws: ``ConnectFailure``, about the socket at `path`, if this process has too many descriptors.
    init(for path: String) throws(ConnectFailure) {
        var bell = cunix_bell()
        _ = try ConnectFailure.check(path, cunix_bell_make(&bell))
        self.bell = bell
    }

    deinit { cunix_bell_close(bell) }

    /// Ends the sleep that there is, or else the next one.
    func ring() { cunix_bell_ring(bell) }

    /// Sleeps until it is rung, or `deadline` is reached.
    func sleep(until deadline: MonotonicInstant?) { _ = wait(for: -1, reads: false, until: deadline) }

    /// Waits for `socket` too, and says what that is ready for.
    ///
    /// Interrupted or not: who waits looks again at what it waits for.
    func wait(
        for socket: CInt,
        reads: Bool,
        writes: Bool = false,
        until deadline: MonotonicInstant?
    ) -> System.Readiness {
        let (readiness, isRung) = System.wait(
            for: socket,
            reads: reads,
            writes: writes,
            or: bell.reading,
            until: deadline
        )
        if isRung { cunix_bell_silence(bell) }
        return readiness
    }
}
