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
            .badDescriptor, .foreignProcess, .stricterLease, .partlyHeld, .badCursor, .logFull, .badVersion, .lateHello,
            .tooManySessions, .tooManyLeases, .tooManyWaiters, .tooManyBytes, .tooManyDescriptors, .tooManyWatchers,
        ]
        #expect(try firstColumn(of: "## Errors") == codes.map(\.rawValue))
    }

    @Test(arguments: [("LOCK", "unknown-verb"), ("ACQUIRE a x=1", "unknown-option")])
    func theAlternativesAreThoseOfTheTable(line: String, code: String) throws {
        let answer = try #require(refusal(of: line))
        let want = try #require(answer.split(separator: " ").first { $0.hasPrefix("want=") })
        let row = try #require(rows(of: "## Errors").first { $0.hasPrefix("| `\(code)`") })
        #expect(row.replacing("\\|", with: "|").contains("`\(want)`"), "\(want)")
    }

    /// Every verb that the section of requests describes is one, and has the options that it is described with.
    @Test func theRequestsAreThoseOfTheirSections() throws {
        let lines = try lines()
        let described = lines.filter { $0.hasPrefix("### ") }.map { String($0.dropFirst(4)) }
        let want = try #require(refusal(of: "LOCK")?.split(separator: "=").last)
        #expect(Set(described) == Set(want.split(separator: "|").map(String.init)))
        for verb in described {
            // The line behind the heading: `VERB NAME [option=…] …`.
            let synopsis = try #require(lines.drop { $0 != "### \(verb)" }.dropFirst().first { $0.hasPrefix("`") })
            let options = synopsis.dropFirst().prefix { $0 != "`" }.split { " [|".contains($0) }.filter {
                $0.contains("=")
            }.map {
                $0.prefix { $0 != "=" }
            }
            let arguments = ["ACQUIRE": " a", "RELEASE": " a", "RENEW": " a", "CANCEL": " #t", "SHOW": " a"]
            let needed = arguments[verb] ?? (["HISTORY", "REVOKE"].contains(verb) ? " a" : "")
            let answer = try #require(refusal(of: "\(verb)\(needed) no-option=1"))
            let known =
                answer.split(separator: " ").first { $0.hasPrefix("want=") }?.dropFirst(5).split(separator: "|") ?? []
            #expect(Set(options) == Set(known), "\(verb)")
        }
    }

    /// The words in back quotes in the first column of the table of a section.
    private func firstColumn(of section: String) throws -> [String] {
        try rows(of: section).map { row in String(row.dropFirst(3).prefix { $0 != "`" }) }
    }

    /// The rows of the table of a section that begin with a word in back quotes.
    private func rows(of section: String) throws -> [String] {
        let rows = try lines().drop { $0 != section }.dropFirst().prefix { !$0.hasPrefix("## ") }
        return rows.filter { $0.hasPrefix("| `") }
    }

    private func lines() throws -> [String] {
        let file = URL(filePath: #filePath).appending(path: "../../../docs/protocol.md").standardized
        return try String(contentsOf: file, encoding: .utf8).split(
            separator: "\n",
            omittingEmptySubsequences: false
        ).map(String.init)
    }
}
