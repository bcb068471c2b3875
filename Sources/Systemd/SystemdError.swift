import Glibc

/// Something that systemd has handed over, or that is to be told to it, is not as it has to be.
public struct SystemdError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, and what would be right.
    public let description: String

    init(_ description: String) { self.description = description }

    /// A call that failed with this error number.
    init(_ call: String, _ number: CInt) {
        self.init("\(call): \(String(cString: strerror(number)))")
    }
}
