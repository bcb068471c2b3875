import Foundation
import LockdWire
import Testing

/// What `docs/protocol.md` lists and the code repeats.
@Suite struct DocumentTests {
    @Test func theErrorCodesAreThoseOfTheTable() throws {
        let codes: [WireError.Code] = [
            .lineTooLong, .emptyLine, .badCharacter, .badSpacing, .badTag, .tagInUse, .unknownVerb, .missingArgument,
            .unexpectedArgument, .unknownOption, .repeatedOption, .badName, .nameTooLong, .repeatedName, .tooManyNames,
            .badText, .textTooLong, .badDuration, .badNumber, .badMode, .badBinding, .conflictingOptions,
            .badDescriptor, .foreignProcess, .stricterLease, .partlyHeld, .badCursor, .badVersion, .lateHello,
            .tooManySessions, .tooManyLeases, .tooManyWaiters, .tooManyBytes, .tooManyDescriptors, .tooManyWatchers,
        ]
        #expect(try firstColumn(of: "## Errors") == codes.map(\.rawValue))
    }

    /// The words in back quotes in the first column of the table of a section.
    private func firstColumn(of section: String) throws -> [String] {
        let file = URL(filePath: #filePath).appending(path: "../../../docs/protocol.md").standardized
        let lines = try String(contentsOf: file, encoding: .utf8).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        let rows = lines.drop { $0 != section }.dropFirst().prefix { !$0.hasPrefix("## ") }
        return rows.filter { $0.hasPrefix("| `") }.map { row in
            String(row.dropFirst(3).prefix { $0 != "`" })
        }
    }
}
