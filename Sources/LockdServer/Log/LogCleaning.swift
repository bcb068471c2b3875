/// How far the log is cleaned at once.
struct LogCleaning {
    /// How many bytes are looked at, at the most.
    let limit: Int
    /// How many have been.
    var byteCount = 0
}
