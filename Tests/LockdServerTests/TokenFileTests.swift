import Foundation
import Testing

@testable import LockdServer

@Suite struct TokenFileTests {
    private let directory: TemporaryDirectory
    private var file: TokenFile { TokenFile(directory: directory.path) }
    private var path: String { directory.path + "/tokens" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test func firstBlockBeginsAtTheFloor() throws {
        #expect(try file.reserve(100, atLeast: 1000) == 1000...1099)
    }

    @Test func firstTokenIsNeverZero() throws {
        #expect(try file.reserve(100, atLeast: 0).lowerBound == 1)
    }

    @Test func nextBlockFollowsTheOneBefore() throws {
        let first = try file.reserve(100, atLeast: 1000)
        let second = try file.reserve(100, atLeast: 1000)
        #expect(second.lowerBound == first.upperBound + 1)
        #expect(second.count == 100)
    }

    @Test func anotherRunGoesOnBehindTheWholeBlock() throws {
        let first = try file.reserve(100, atLeast: 1_000_000)
        let second = try TokenFile(directory: directory.path).reserve(100, atLeast: 1)
        #expect(second.lowerBound == first.upperBound + 1)
    }

    @Test func clockThatIsAheadGoesFirst() throws {
        _ = try file.reserve(100, atLeast: 1000)
        #expect(try file.reserve(100, atLeast: 1 << 50).lowerBound == 1 << 50)
    }

    @Test func wipedDirectoryGoesOnFromTheFloor() throws {
        let before = try file.reserve(100, atLeast: 1000)
        try FileManager.default.removeItem(atPath: path)
        #expect(try file.reserve(100, atLeast: before.upperBound + 1).lowerBound == before.upperBound + 1)
    }

    @Test func emptyFileIsANewOne() throws {
        try write("")
        #expect(try file.reserve(100, atLeast: 7).lowerBound == 7)
    }

    @Test func fileIsOneLineOfFixedLength() throws {
        let block = try file.reserve(100, atLeast: 1000)
        let line = "lockd-tokens 1 \(block.upperBound)"
        #expect(try read() == line + String(repeating: " ", count: 63 - line.count) + "\n")
        _ = try file.reserve(100, atLeast: 1 << 61)
        #expect(try read().count == 64)
    }

    @Test func fileIsForItsOwnerOnly() throws {
        _ = try file.reserve(100, atLeast: 1)
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test(arguments: [
        "lockd-tokens 1 5\n",
        "lockd-tokens 2 5" + String(repeating: " ", count: 47) + "\n",
        "lockd-tokens 1 5" + String(repeating: " ", count: 48),
        "lockd-tokens 1 5" + String(repeating: " ", count: 48) + "\n",
        "lockd-tokens 1 +5" + String(repeating: " ", count: 46) + "\n",
        "lockd-tokens 1 05" + String(repeating: " ", count: 46) + "\n",
        "lockd-tokens 1 x" + String(repeating: " ", count: 47) + "\n",
        "lockd-tokens 1 -" + String(repeating: " ", count: 47) + "\n",
        "lockd-tokens 1  " + String(repeating: " ", count: 47) + "\n",
        "lockd-tokens 1 4611686018427387904" + String(repeating: " ", count: 29) + "\n",
        "lockd-tokens 1 5 6" + String(repeating: " ", count: 45) + "\n",
        String(repeating: "\0", count: 64),
        String(repeating: "x", count: 100_000),
    ])
    func damagedFileIsRefusedAndLeftAlone(_ text: String) throws {
        try write(text)
        #expect(throws: TokenFile.Problem.damaged(path: path)) { try file.reserve(100, atLeast: 1) }
        #expect(try read() == text)
    }

    @Test func refusalSaysWhatToDo() {
        #expect(
            TokenFile.Problem.damaged(path: "/s/tokens").description
                == "/s/tokens is not a lockd token file; move it away, and tokens go on from the wall clock"
        )
    }

    @Test func missingDirectoryIsNamed() throws {
        let file = TokenFile(directory: directory.path + "/none")
        let error = #expect(throws: SystemError.self) { try file.reserve(100, atLeast: 1) }
        #expect(error?.description == "open \(directory.path)/none/tokens: No such file or directory")
    }

    private func write(_ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
    }

    private func read() throws -> String {
        try String(contentsOf: URL(filePath: path), encoding: .utf8)
    }
}
