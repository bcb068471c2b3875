import LockdModel
import LockdWire
import Testing

@Suite struct NumberWritingTests {
    private func written(_ number: UInt64) -> String {
        encode(TaggedReply(.released("a", token: FencingToken(number))))
    }

    /// Around the numbers where one more digit is needed, and with zeros in every place.
    @Test func numbersOfEveryLengthAreWritten() {
        var numbers: [UInt64] = [0, .max, .max - 1]
        var power: UInt64 = 1
        for _ in 0..<20 {
            for digit in 1...9 {
                let (product, overflow) = power.multipliedReportingOverflow(by: UInt64(digit))
                if !overflow { numbers += [product - 1, product, product + 1] }
            }
            power &*= 10
        }
        for number in numbers { #expect(written(number) == "RELEASED a token=\(number)") }
    }

    @Test func everyPlaceOfANumberTakesEveryDigit() {
        for number in UInt64(0)..<10_000 {
            // In each four digits of sixteen.
            for factor: UInt64 in [1, 1_0000, 1_0000_0001, 1_0000_0000_0000] {
                let product = number * factor
                if written(product) != "RELEASED a token=\(product)" { Issue.record("\(product): \(written(product))") }
            }
        }
    }
}
