import LockdCore
import Testing

@Suite struct EffectTests {
    @Test func onlyLossesAreLosses() {
        #expect(Effect.expired("db", of: alice, token: 1).isLoss)
        #expect(Effect.lost("db", of: alice, token: 1, revokedBy: bob).isLoss)
        #expect(!Effect.released("db", to: alice, token: 1).isLoss)
        #expect(!Effect.notHeld("db", to: alice).isLoss)
    }
}
