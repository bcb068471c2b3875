import LockdClient

let client = LockdClient()
try await client.withLease("reports/nightly", waitTimeout: .seconds(10)) { lease in
    print("my turn, with token", lease.token)
}
