public import LockdModel

/// A line that says ACQUIRE or RELEASE in capitals, a name that needs no escapes, and nothing more but perhaps a tag: what most lines are.
///
/// It is read without making anything of it that needs memory. Whatever is not one, right or wrong, is for ``RequestDecoder``.
public struct BareRequest {
    /// What is asked for.
    public enum Verb {
        case acquire
        case release
    }

    /// The tag, if the client gave one.
    public let tag: Tag?
    /// What is asked for.
    public let verb: Verb
    /// The lock; valid as long as the line.
    public let name: PlainName

    /// The request that `line`, which has no LF, says, if that is a bare one.
    public init?(_ line: UnsafeRawBufferPointer) {
        var rest = line
        if line.first == UInt8(ascii: "#") {
            guard let space = line.offset(of: UInt8(ascii: " ")), let tag = Tag(parsing: line.upTo(space).from(1))
            else { return nil }
            self.tag = tag
            rest = line.from(space + 1)
        } else {
            tag = nil
        }
        guard rest.count > 8 else { return nil }
        switch rest.loadUnaligned(as: UInt64.self) {
        case Self.acquire: verb = .acquire
        case Self.release: verb = .release
        default: return nil
        }
        guard let name = PlainName(rest.from(8)) else { return nil }
        self.name = name
    }

    // The words with their space, as the machine loads them: no byte is compared alone. The compiler makes numbers of them; what is kept it looks
    // up by a call.
    private static var acquire: UInt64 { word("ACQUIRE ") }
    private static var release: UInt64 { word("RELEASE ") }

    @inline(__always)
    private static func word(_ spelling: StaticString) -> UInt64 {
        UnsafeRawPointer(spelling.utf8Start).loadUnaligned(as: UInt64.self)
    }
}
