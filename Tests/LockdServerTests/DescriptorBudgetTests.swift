import Testing

@testable import LockdServer

@Suite struct DescriptorBudgetTests {
    @Test func plentyIsEnoughForEverything() {
        for limit in [64 + 6144 + 2 * 8192, 524_288, .max] {
            let budget = DescriptorBudget(descriptorLimit: limit, sessionLimit: 8192)
            #expect(budget.sessions == 8192)
            #expect(budget.bound == 4096)
            #expect(budget.loose == 2048)
        }
    }

    @Test func fewAreSharedOut() {
        let budget = DescriptorBudget(descriptorLimit: 1024, sessionLimit: 8192)
        #expect(budget.bound == 240)
        #expect(budget.loose == 120)
        #expect(budget.sessions == 300)
    }

    @Test func togetherTheyAreNeverMoreThanThereAre() {
        for limit in Array(67...3000) + [20_000, 22_591, 22_592, 22_593] {
            let budget = DescriptorBudget(descriptorLimit: limit, sessionLimit: .max)
            #expect(2 * budget.sessions + budget.bound + budget.loose + DescriptorBudget.keptBack <= limit)
            #expect(budget.sessions >= 1)
        }
    }

    @Test func noMoreSessionsThanAreWanted() {
        #expect(DescriptorBudget(descriptorLimit: 1024, sessionLimit: 7).sessions == 7)
    }

    @Test(arguments: [0, 1, 64, 65])
    func thereIsAlwaysOneSession(_ limit: Int) {
        #expect(DescriptorBudget(descriptorLimit: limit, sessionLimit: 8192).sessions == 1)
    }
}
