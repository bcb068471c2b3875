import LockdModel

/// The sessions that were told of a loss in this turn, in that order, and how much each was told up to then.
///
/// Nothing is written before it is recorded, and that is when a turn has been taken; by then each may have been told of grants, too. Written one after the other
/// up to its loss, none is told of a grant before everybody was told of the losses that came before that.
final class LossQueue {
    private var entries: [(session: Session, end: UInt64)] = []
    private var next = 0

    /// Takes note that the last thing that the session was told is a loss.
    func append(_ session: Session) { entries.append((session, session.output.appendedByteCount)) }

    /// Writes to all of them, as far as their sockets take it.
    ///
    /// Comes before any other write, and after the commit of what is to be written.
    func write(to connections: ConnectionTable) {
        while let (session, end) = popFirst() { connections[session]?.writeOutput(through: end) }
    }

    /// The next session, and how many bytes of all that it was ever told are to be written.
    func popFirst() -> (session: Session, end: UInt64)? {
        guard next < entries.count else {
            entries.removeAll(keepingCapacity: true)
            next = 0
            return nil
        }
        defer { next += 1 }
        return entries[next]
    }
}
