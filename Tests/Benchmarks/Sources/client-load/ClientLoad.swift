import ArgumentParser

/// What clients.py runs for the Swift library: one case, measured at a place for so many seconds, and its figures as JSON.
@main
struct ClientLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client-load",
        abstract: "Measure one case of clients.py, and print the figures as JSON."
    )

    @Argument(help: "What to measure.")
    var benchmarkCase: Case

    @Argument(help: "The folder with the sockets of the servers.")
    var place: String

    @Argument(help: "How long to measure.")
    var seconds: Double

    func run() async throws {
        let figures = try await benchmarkCase.measure(socket: place + "/lockd.sock", seconds: seconds)
        let members = figures.map { "\"\($0.name)\": \($0.value)" }
        print("{\(members.joined(separator: ", "))}")
    }
}
