import LockdCore
import LockdModel
import Testing

@Suite struct TokenTests {
    @Test func tokensBeginWhereTheTableIsTold() {
        var table = LockTable(limits: Limits(), firstToken: 17, reservedThrough: 20)
        let now = MonotonicInstant(nanoseconds: 0)
        _ = table.apply(.sessionOpened(alice.session, user: .root), at: now)
        let effects = table.apply(.acquireRequested(AcquireRequest(alice, "db")), at: now)
        #expect(effects == [.granted("db", to: alice, token: 17)])
    }

    @Test func everyGrantHasALargerTokenWhateverTheName() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("mail", by: alice)
        table.acquire("mail", by: bob)
        table.release("db", by: alice)
        #expect(table.acquire("db", by: alice) == [.granted("db", to: alice, token: 3)])
        #expect(table.release("mail", by: alice).last == .granted("mail", to: bob, token: 4))
    }

    @Test func requestsThatAreNotGrantedUseNoToken() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .none)
        table.acquire("db", by: bob)
        #expect(table.acquire("mail", by: carol) == [.granted("mail", to: carol, token: 2)])
    }

    @Test func tokensLeftCountDownToNone() {
        let table = TableFixture(tokensThrough: 2)
        #expect(table.tokensLeft == 2)
        table.acquire("db", by: alice)
        #expect(table.tokensLeft == 1)
        table.acquire("mail", by: alice)
        #expect(table.tokensLeft == 0)
    }

    @Test func moreTokensCanBeReserved() {
        let table = TableFixture(tokensThrough: 1)
        table.acquire("db", by: alice)
        #expect(table.apply(.tokensReserved(through: 1)) == [])
        #expect(table.apply(.tokensReserved(through: 3)) == [])
        #expect(table.tokensLeft == 2)
        #expect(table.acquire("mail", by: alice) == [.granted("mail", to: alice, token: 2)])
    }

    @Test func tableCanBeginWithoutTokens() {
        var table = LockTable(limits: Limits(), firstToken: 5, reservedThrough: 4)
        #expect(table.tokensLeft == 0)
        _ = table.apply(.tokensReserved(through: 9), at: MonotonicInstant(nanoseconds: 0))
        #expect(table.tokensLeft == 5)
    }

    @Test func nothingIsGrantedWithoutAToken() async {
        await #expect(processExitsWith: .failure) {
            let table = TableFixture(tokensThrough: 1)
            table.acquire("db", by: alice)
            table.acquire("mail", by: alice)
        }
    }

    @Test func reservedTokensCannotBeTakenBack() async {
        await #expect(processExitsWith: .failure) {
            let table = TableFixture(tokensThrough: 10)
            table.apply(.tokensReserved(through: 9))
        }
    }
}
