import Glibc

/// A system call that failed.
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call, with what it was about: `open /var/lib/lockd/tokens`.
    public let call: String
    /// The value of `errno`.
    public let number: CInt

    /// The failure of `call` that `errno` tells of now.
    init(_ call: String) {
        number = errno
        self.call = call
    }

    /// Whether `number` says that descriptors, or the memory for them, have run out: what cannot be had now may be had later.
    static func isExhaustion(_ number: CInt) -> Bool {
        number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM
    }

    /// The call and what the system says of it.
    public var description: String { "\(call): \(String(cString: strerror(number)))" }
}

/// The result of a system call, again and again while a signal interrupts it.
func retryingOnInterrupt<Result: SignedInteger>(_ call: () -> Result) -> Result {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}

/// The result of a system call that must not fail.
///
/// - Throws: ``SystemError`` with the words of `description` if it does.
func check<Result: SignedInteger>(
    _ description: @autoclosure () -> String,
    _ call: () -> Result
) throws(SystemError) -> Result {
    let result = retryingOnInterrupt(call)
    if result == -1 { throw SystemError(description()) }
    return result
}
