import LockdClient

let client = LockdClient()

try await client.withLease(
    "reports/nightly",
    onLoss: .cancelBody,
    waitTimeout: .seconds(600),
    progress: .every(.seconds(1)) { wait in
        let holder = wait.holder?.processID.map { " behind process \($0)" } ?? ""
        print("place \(wait.position) of \(wait.waiterCount)\(holder)")
    }
) { _ in
    for part in 1...10 {
        try Task.checkCancellation()
        print("writing part \(part)")
        try await Task.sleep(for: .seconds(1))
    }
}
