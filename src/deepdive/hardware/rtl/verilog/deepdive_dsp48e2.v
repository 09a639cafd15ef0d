// A product added to the sum of the DSP below, ``p = (a + d) * b + pcin``, in a DSP48E2: two enabled cycles after its operands and
// one after pcin, or as many cycles later as DELAY says. Registers at A, B, D and P; with a DELAY of 1 one behind the pre-adder and
// a second one at B; with 2 another one behind the multiplier. Pins and parameters as in UG579 and UG974; what is unused is tied off as they
// ask. pcin comes from a pcout: there is no other way into a DSP's PCIN.
module deepdive_dsp #(
    parameter A_WIDTH = 27,
    parameter B_WIDTH = 18,
    parameter D_WIDTH = 27,
    parameter P_WIDTH = 48,
    parameter DELAY = 0,
    parameter CASCADE = 0  // 1: pcin is added
) (
    input wire clk,
    input wire enable,
    input wire signed [A_WIDTH-1:0] a,  // 27 bits at most, and a + d has no more
    input wire signed [B_WIDTH-1:0] b,  // 18 bits at most
    input wire signed [D_WIDTH-1:0] d,
    input wire [47:0] pcin,
    output wire signed [P_WIDTH-1:0] p,
    output wire [47:0] pcout
);
    wire signed [29:0] wide_a = a;
    wire signed [17:0] wide_b = b;
    wire signed [26:0] wide_d = d;
    wire [47:0] wide_p;

    assign p = wide_p[P_WIDTH-1:0];

    DSP48E2 #(
        .AMULTSEL("AD"),
        .BMULTSEL("B"),
        .PREADDINSEL("A"),
        .A_INPUT("DIRECT"),
        .B_INPUT("DIRECT"),
        .USE_MULT("MULTIPLY"),
        .USE_SIMD("ONE48"),
        .USE_PATTERN_DETECT("NO_PATDET"),
        .AREG(1),
        .ACASCREG(1),
        .BREG(DELAY > 0 ? 2 : 1),
        .BCASCREG(DELAY > 0 ? 2 : 1),
        .CREG(1),
        .MREG(DELAY > 1 ? 1 : 0),
        .PREG(1),
        .ADREG(DELAY > 0 ? 1 : 0),
        .DREG(1),
        .ALUMODEREG(0),
        .CARRYINREG(0),
        .CARRYINSELREG(0),
        .INMODEREG(0),
        .OPMODEREG(0)
    ) dsp (
        .CLK(clk),
        .A(wide_a),
        .B(wide_b),
        .P(wide_p),
        .C(48'hffffffffffff),
        .D(wide_d),
        .ALUMODE(4'b0000),  // Z + W + X + Y + CIN
        .INMODE(5'b00100),  // A2 + D and B2 multiply
        .OPMODE(CASCADE ? 9'b000010101 : 9'b000000101),  // X and Y from the multiplier, Z is PCIN or 0
        .CARRYINSEL(3'b000),
        .CARRYIN(1'b0),
        .CEA1(1'b0),
        .CEA2(enable),
        .CEB1(DELAY > 0 ? enable : 1'b0),
        .CEB2(enable),
        .CEP(enable),
        .CEAD(DELAY > 0 ? enable : 1'b0),
        .CEALUMODE(1'b0),
        .CEC(1'b0),
        .CECARRYIN(1'b0),
        .CECTRL(1'b0),
        .CED(enable),
        .CEINMODE(1'b0),
        .CEM(DELAY > 1 ? enable : 1'b0),
        .RSTA(1'b0),
        .RSTALLCARRYIN(1'b0),
        .RSTALUMODE(1'b0),
        .RSTB(1'b0),
        .RSTC(1'b0),
        .RSTCTRL(1'b0),
        .RSTD(1'b0),
        .RSTINMODE(1'b0),
        .RSTM(1'b0),
        .RSTP(1'b0),
        .ACIN(30'd0),
        .BCIN(18'd0),
        .PCIN(pcin),
        .CARRYCASCIN(1'b0),
        .MULTSIGNIN(1'b0),
        .ACOUT(),
        .BCOUT(),
        .PCOUT(pcout),
        .CARRYCASCOUT(),
        .CARRYOUT(),
        .MULTSIGNOUT(),
        .OVERFLOW(),
        .PATTERNBDETECT(),
        .PATTERNDETECT(),
        .XOROUT(),
        .UNDERFLOW()
    );
endmodule
