import LockdClient

let client = LockdClient()

try await client.withLease(
    "reports/nightly",
    waitTimeout: .seconds(600)
) { _ in
    for part in 1...10 {
        print("writing part \(part)")
        try await Task.sleep(for: .seconds(1))
    }
}
