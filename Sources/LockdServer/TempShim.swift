import LockdCore
import LockdModel
extension Event {
    static func sessionAttached(_ id: SessionID) -> Event { .timePassed }
    static func sessionDetached(_ id: SessionID) -> Event { .timePassed }
    static func grantsSuspended(until: MonotonicInstant) -> Event { .timePassed }
}
extension LockTable.LeaseLine { var detached: Milliseconds? { nil } }
extension LockTable.WaiterLine { var detached: Milliseconds? { nil } }
