/// What a client calls one of its requests, so that the reply can be told from others; without the leading `#`.
public struct Tag: Hashable, Sendable, CustomStringConvertible {
    /// The most characters that a tag may have.
    public static let maximumByteCount = 32

    /// Room for the characters in the value itself, so that a tag needs no memory of its own.
    ///
    /// Behind the last one are zeros.
    private struct Storage: Hashable {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

        static func == (left: Self, right: Self) -> Bool { left.words == right.words }

        func hash(into hasher: inout Hasher) {
            withUnsafeBytes(of: words) { hasher.combine(bytes: $0) }
        }
    }

    private var storage = Storage()
    private let count: UInt8

    /// The tag with these characters, or nothing if they are not a tag's.
    public init?(parsing characters: UnsafeRawBufferPointer) {
        guard (1...Self.maximumByteCount).contains(characters.count) else { return nil }
        count = UInt8(characters.count)
        // Looked at and copied in one go: most are so short that a call costs more than the rest.
        let isTag = withUnsafeMutableBytes(of: &storage.words) { memory in
            for index in characters.indices {
                guard ByteSet.tagCharacters.contains(characters[index]) else { return false }
                memory[index] = characters[index]
            }
            return true
        }
        guard isTag else { return nil }
    }

    /// The tag that is the decimal spelling of `number`.
    public init(_ number: UInt64) {
        var spelling = String(number)
        count = UInt8(spelling.utf8.count)
        spelling.withUTF8 { characters in
            withUnsafeMutableBytes(of: &storage.words) { $0.copyBytes(from: characters) }
        }
    }

    /// How many characters it has.
    package var byteCount: Int { Int(count) }

    /// Writes the characters to `memory`, which has room for ``maximumByteCount``, and says how many they are.
    ///
    /// Behind them it leaves zeros.
    package func copyCharacters(to memory: UnsafeMutableRawPointer) -> Int {
        memory.storeBytes(of: storage.words, as: (UInt64, UInt64, UInt64, UInt64).self)
        return Int(count)
    }

    /// Calls `body` with the characters: ASCII letters, digits, and `.`, `_`, `-`, `:`.
    public func withCharacters<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: storage.words) { body(UnsafeRawBufferPointer(rebasing: $0[..<Int(count)])) }
    }

    /// The characters of the tag.
    public var spelling: String { withCharacters { String(ascii: $0) } }

    /// The characters of the tag, without `#`.
    public var description: String { spelling }
}
