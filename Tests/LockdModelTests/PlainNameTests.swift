import Testing

@testable import LockdModel

@Suite struct PlainNameTests {
    private func plain(_ bytes: [UInt8]) -> Fingerprint? {
        bytes.withUnsafeBytes { PlainName($0)?.fingerprint }
    }

    @Test func plainNameIsFoundByTheFingerprintOfTheName() throws {
        for name in ["a", "db", "seven77", "eight888", "reports/nightly", String(repeating: "n", count: 255)] {
            #expect(try plain(Array(name.utf8)) == LockName(name).fingerprint)
        }
    }

    /// A byte is plain exactly if the name that consists of it is spelled as itself.
    @Test func bytesThatNeedEscapesAreNotPlain() throws {
        for byte in UInt8.min...UInt8.max {
            let name = try LockName(bytes: [byte])
            #expect((plain([byte]) != nil) == (Array(name.spelling.utf8) == [byte]), "\(byte)")
            let text = try Text(bytes: [byte], limit: 1)
            #expect(ByteSet.plainInTexts.contains(byte) == (Array(text.spelling.utf8) == [byte]), "\(byte)")
        }
    }

    @Test(arguments: [7, 8, 9, 16, 21]) func bytesAreLookedAtInEveryPlace(count: Int) {
        for byte in UInt8.min...UInt8.max {
            for place in 0..<count {
                var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: count)
                bytes[place] = byte
                #expect((plain(bytes) != nil) == ByteSet.plainInNames.contains(byte), "\(byte) at \(place) of \(count)")
            }
        }
    }

    @Test func nameHas1To255Bytes() {
        #expect(plain([]) == nil)
        #expect(plain([UInt8](repeating: 0x61, count: 256)) == nil)
    }

    /// The table from the document, and not from the code that reads names.
    @Test func setsAreWhatTheProtocolSays() {
        for byte in UInt8.min...UInt8.max {
            let isVisible = (0x21...0x7E).contains(byte)
            #expect(ByteSet.plainInTexts.contains(byte) == (isVisible && byte != UInt8(ascii: "%")), "\(byte)")
            #expect(ByteSet.plainInNames.contains(byte) == (isVisible && !"%#=".utf8.contains(byte)), "\(byte)")
        }
    }

    @Test(arguments: [0, 1, 7, 8, 9, 15, 16, 17, 40]) func namesAreComparedToTheLastByte(count: Int) throws {
        let bytes = (0..<count).map { UInt8(0x30 + $0) }
        #expect(isSpelled(bytes, bytes))
        for place in bytes.indices {
            var other = bytes
            other[place] = 0x7E
            #expect(!isSpelled(bytes, other))
        }
        #expect(!isSpelled(bytes, bytes + [0x41]))
    }

    private func isSpelled(_ name: [UInt8], _ bytes: [UInt8]) -> Bool {
        name.withUnsafeBytes { name in bytes.withUnsafeBytes { name.isEqual(to: $0) } }
    }
}
