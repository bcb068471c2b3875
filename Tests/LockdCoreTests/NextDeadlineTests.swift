import LockdCore
import LockdModel
import Testing

@Suite struct NextDeadlineTests {
    @Test func thereIsNoneWhereTimeChangesNothing() {
        let table = TableFixture()
        #expect(table.nextDeadline() == nil)
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(table.nextDeadline() == nil)
    }

    @Test func itIsThatOfALease() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: Milliseconds(1234))
        #expect(table.nextInstant() == table.now + Milliseconds(1234))
    }

    @Test func itIsThatOfAWait() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(Milliseconds(1234)))
        #expect(table.nextInstant() == table.now + Milliseconds(1234))
    }

    @Test func itIsTheEarliest() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.acquire("mail", by: alice, ttl: .seconds(2))
        #expect(table.nextDeadline() == .seconds(2))
        table.acquire("db", by: bob, wait: .after(.seconds(1)))
        #expect(table.nextDeadline() == .seconds(1))
        table.advance(.seconds(1))
        #expect(table.nextDeadline() == .seconds(1))
        table.advance(.seconds(1))
        #expect(table.nextDeadline() == .seconds(1))
        table.advance(.seconds(1))
        #expect(table.nextDeadline() == nil)
    }

    @Test func releasedLeaseHasNone() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.acquire("mail", by: alice, ttl: .seconds(2))
        table.release("db", by: alice)
        #expect(table.nextDeadline() == .seconds(2))
        table.release("mail", by: alice)
        #expect(table.nextDeadline() == nil)
    }

    @Test func renewedLeaseHasOnlyItsNewOne() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.renew("db", by: alice, ttl: .seconds(5))
        #expect(table.nextDeadline() == .seconds(5))
        table.renew("db", by: alice, ttl: .seconds(2))
        #expect(table.nextDeadline() == .seconds(2))
    }

    @Test func grantedAndCancelledWaitsHaveNone() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"), wait: .after(.seconds(1)))
        table.acquire("db", by: bob.tagged("2"), wait: .after(.seconds(1)))
        table.cancel("2", by: bob)
        table.release("db", by: alice)
        #expect(table.nextDeadline() == nil)
    }

    @Test func itHasPassedWhileASessionHasLeasesToWorkOff() {
        let table = TableFixture {
            $0.endingsPerTurn = 1
            $0.waitersPerSession = 1
        }
        table.acquire("db", by: alice)
        table.acquire("mail", by: alice)
        table.disconnect(alice)
        #expect(table.nextDeadline() == .seconds(0))
        table.advance(.seconds(1))
        #expect(table.nextInstant().map { $0 <= table.now } == true)
        table.passTime()
        #expect(table.nextDeadline() == nil)
    }

    @Test func thereIsNoneWhenRequestsHaveEndedAllLeasesOfASession() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("mail", by: alice)
        table.disconnect(alice)
        table.inspect("db")
        #expect(table.nextDeadline() == .seconds(0))
        table.inspect("mail")
        #expect(table.nextDeadline() == nil)
    }
}
