/// What of a session's bytes is in the log, and where.
struct LoggedSession {
    /// The slot of the session in the log; nothing before it is recorded, and once it has ended.
    var slot: Int?
    /// In the list of those of whom there is something to record.
    var isChanged = false
    /// Something of its input may not be as it is recorded.
    var isInputChanged = false
    /// What of the stream of its input is recorded as received and not taken, if anything is.
    var input: Range<UInt64>?
    /// Up to here the stream of what it was told is recorded.
    var outputEnd: UInt64 = 0
    /// What its socket did not take is recorded.
    var hasBacklog = false
    /// What its socket did not take is not as it is recorded.
    var isBacklogChanged = false
    /// Not all that it was told could be recorded.
    var isTorn = false
    /// It has ended, and what its socket has not taken is recorded.
    var hasFarewell = false
    /// What is recorded of its input, and of what it was told, is not where the streams go on: it begins anew.
    var isInputStale = false
    var isOutputStale = false
}
